"""Dynamic adaptation on the built-in data set: `make train`.

A small Mask R-CNN learns the uncompressed pictures, a small codec learns them
for people, then both meet: stages B and C. Expected: see README.
"""
_base_ = [
    'mmdet::_base_/default_runtime.py',
    '../_base_/task_models/mask-rcnn_r18_small.py',
    '../_base_/datasets/sample_instance.py',
    '../_base_/codecs/mean-scale-hyperprior.py',
    '../_base_/adapters/dynamic-adaptation.py',
    '../_base_/schedules/joint_adapt.py',
]
stages = [
    dict(
        name='detector', config='mask-rcnn_r18_sample.py', result='load_from'),
    dict(
        name='codec',
        config='mean-scale-hyperprior_sample.py',
        result='model.backbone.codec.init_cfg.checkpoint')
]
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmhmc.CodecBackbone',
        codec=dict(
            _base_.codec,
            hidden_channels=48,
            latent_channels=64,
            init_cfg=dict(type='Pretrained', checkpoint=None,
                          prefix='codec.')),
        adapter=dict(_base_.adapter, width=16),
        backbone=_base_.model.backbone,
        input_norm=_base_.model.data_preprocessor))
train_dataloader = dict(batch_size=4)
train_cfg = dict(max_epochs=6, val_interval=6)
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=6, eta_min=5e-5, by_epoch=True)
]
optim_wrapper = dict(
    optimizer=dict(lr=3e-4),
    paramwise_cfg=dict(codec=dict(lr=3e-4), adapter=dict(lr=1e-3)))
custom_hooks = [
    dict(type='mmhmc.RateLossHook', lmbda_distortion=0.0035, lmbda_task=0.1),
    dict(
        type='mmhmc.TrainingStageHook',
        stages=[
            dict(begin=0, trainable=['codec', 'adapter']),
            dict(begin=4, trainable=['adapter'])
        ]),
    dict(type='mmhmc.EntropyTableHook'),
    dict(type='mmhmc.FiniteLossHook'),
    dict(type='mmhmc.RandomStateHook'),
    dict(type='mmhmc.AutocastHook', modules=['backbone'], channels_last=True)
]
val_evaluator = _base_.val_evaluator + [
    dict(type='mmhmc.BitrateMetric'),
    dict(type='mmhmc.PSNRMetric'),
    dict(type='mmhmc.MSSSIMMetric')
]
test_evaluator = val_evaluator
default_hooks = dict(
    logger=dict(interval=20), checkpoint=dict(max_keep_ckpts=2))
randomness = dict(seed=0)
