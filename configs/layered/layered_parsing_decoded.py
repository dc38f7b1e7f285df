"""Face parsing on decoded images: decode, then the network for images.

The codec is trained first, for people, unless it is given:
`--cfg-options model.backbone.codec.init_cfg.checkpoint=FILE`. Not trained
here. To test the network of
`layered_parsing_rgb.py` as it is, give its checkpoint to tools/test.py.
"""
_base_ = [
    'mmseg::_base_/default_runtime.py',
    '../_base_/task_models/face_parsing.py',
    '../_base_/datasets/celebamask_parsing.py',
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
        type='mmhmc.CodecBackbone',
        codec=dict(
            **_base_.codec,
            init_cfg=dict(type='Pretrained', checkpoint=None,
                          prefix='codec.')),
        backbone=_base_.model.backbone,
        input_norm=_base_.model.data_preprocessor))
val_evaluator = _base_.val_evaluator + [dict(type='mmhmc.BitrateMetric')]
test_evaluator = val_evaluator
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=20),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='CheckpointHook', interval=20, max_keep_ckpts=2),
    sampler_seed=dict(type='DistSamplerSeedHook'))
log_processor = dict(by_epoch=True)
randomness = dict(seed=0)
