"""Points of a face, on both streams of a layered codec.

The codec is trained first, for people, unless it is given:
`--cfg-options model.backbone.codec.init_cfg.checkpoint=FILE`. Not trained
here.
"""
_base_ = [
    'mmpretrain::_base_/default_runtime.py',
    '../_base_/task_models/face_points.py',
    '../_base_/datasets/celebamask_points.py',
    '../_base_/codecs/layered.py',
    '../_base_/schedules/layered_heads.py',
]
stages = [
    dict(
        name='codec',
        config='layered_codec.py',
        result='model.backbone.codec.init_cfg.checkpoint')
]
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmhmc.LatentBackbone',
        codec=dict(
            **_base_.codec,
            init_cfg=dict(type='Pretrained', checkpoint=None,
                          prefix='codec.')),
        input_norm=_base_.model.data_preprocessor))
val_evaluator = _base_.val_evaluator + [
    dict(type='mmhmc.SavingMetric'),
    dict(type='mmhmc.BitrateMetric')
]
test_evaluator = val_evaluator
default_hooks = dict(
    logger=dict(interval=20), checkpoint=dict(interval=20, max_keep_ckpts=2))
randomness = dict(seed=0)
