"""Dynamic adaptation on the built-in data set: `make train`.

A small Mask R-CNN and a small codec for people come trained from the model
zoo; here codec and adaptation learn before it: stages B and C. All stages from
nothing: `make train STAGES=all`. Expected: see README.
"""
_base_ = [
    'mmdet::_base_/default_runtime.py',
    '../_base_/task_models/mask-rcnn_r18_small.py',
    '../_base_/datasets/sample_instance.py',
    '../_base_/codecs/mean-scale-hyperprior.py',
    '../_base_/adapters/dynamic-adaptation.py',
    '../_base_/schedules/joint_adapt.py',
]
load_from = 'mmhmc://mask-rcnn_r18_sample'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmhmc.CodecBackbone',
        codec=dict(
            _base_.codec,
            hidden_channels=64,
            latent_channels=96,
            init_cfg=dict(
                type='Pretrained',
                checkpoint='mmhmc://mean-scale-hyperprior_pictures_0.0035',
                prefix='codec.')),
        adapter=dict(_base_.adapter, width=16),
        backbone=_base_.model.backbone,
        input_norm=_base_.model.data_preprocessor))
train_dataloader = dict(batch_size=4)
train_cfg = dict(max_epochs=3, val_interval=3)
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=3, eta_min=5e-5, by_epoch=True)
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
            dict(begin=2, trainable=['adapter'])
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
