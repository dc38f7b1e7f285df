"""Mask R-CNN on the latent, on the built-in data set.

Expected: not trained here; what it costs is in docs/compressed_domain.md. The
codec is trained first, for people, unless it is given:
`--cfg-options model.backbone.codec.init_cfg.checkpoint=FILE`.
"""
_base_ = [
    'mmdet::_base_/default_runtime.py',
    '../_base_/task_models/mask-rcnn_r18_small.py',
    '../_base_/datasets/sample_instance.py',
    '../_base_/codecs/mean-scale-hyperprior.py',
    '../_base_/schedules/latent_heads.py',
]
stages = [
    dict(
        name='codec',
        config='../mean_scale_hyperprior/mean-scale-hyperprior_sample.py',
        result='model.backbone.codec.init_cfg.checkpoint')
]
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmhmc.LatentBackbone',
        codec=dict(
            _base_.codec,
            hidden_channels=48,
            latent_channels=64,
            init_cfg=dict(type='Pretrained', checkpoint=None,
                          prefix='codec.')),
        input_norm=_base_.model.data_preprocessor),
    neck=dict(
        _delete_=True,
        type='mmhmc.CompressedDomainNeck',
        in_channels=64,
        out_channels=64,
        strides=(8, 16, 32, 64)))
val_evaluator = _base_.val_evaluator + [dict(type='mmhmc.BitrateMetric')]
test_evaluator = val_evaluator
default_hooks = dict(
    logger=dict(interval=20), checkpoint=dict(interval=4, max_keep_ckpts=2))
randomness = dict(seed=0)
