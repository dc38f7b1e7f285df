"""Dynamic adaptation on real photographs, sized for two CPU cores.

Needs `data/pennfudan` and `data/weights/yolox_nano_mmdet.pth`; stages as in
`mask-rcnn_dynadapt_sample.py`. Expected: see README.
"""
_base_ = [
    'mmdet::_base_/default_runtime.py',
    '../_base_/task_models/mask-rcnn_csp-nano.py',
    '../_base_/datasets/pennfudan_instance.py',
    '../_base_/codecs/mean-scale-hyperprior.py',
    '../_base_/adapters/dynamic-adaptation.py',
    '../_base_/schedules/joint_adapt.py',
]
stages = [
    dict(
        name='detector',
        config='mask-rcnn_csp-nano_pennfudan.py',
        result='load_from'),
    dict(
        name='codec',
        config='../mean_scale_hyperprior/mean-scale-hyperprior_pennfudan.py',
        result='model.backbone.codec.init_cfg.checkpoint')
]
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmhmc.CodecBackbone',
        codec=dict(
            _base_.codec,
            hidden_channels=64,
            latent_channels=96,
            init_cfg=dict(type='Pretrained', checkpoint=None,
                          prefix='codec.')),
        adapter=dict(_base_.adapter, width=32),
        backbone=dict(_base_.model.backbone, init_cfg=None),
        input_norm=_base_.model.data_preprocessor))
train_cfg = dict(max_epochs=8, val_interval=8)
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=8, eta_min=5e-5, by_epoch=True)
]
optim_wrapper = dict(
    optimizer=dict(lr=3e-4),
    paramwise_cfg=dict(codec=dict(lr=3e-4), adapter=dict(lr=1e-3)))
custom_hooks = [
    dict(type='mmhmc.RateLossHook', lmbda_distortion=0.0067, lmbda_task=0.1),
    dict(
        type='mmhmc.TrainingStageHook',
        stages=[
            dict(begin=0, trainable=['codec', 'adapter']),
            dict(begin=5, trainable=['adapter'])
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
    logger=dict(interval=25), checkpoint=dict(max_keep_ckpts=2))
randomness = dict(seed=0)
