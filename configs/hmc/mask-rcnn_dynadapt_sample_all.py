"""All stages of `mask-rcnn_dynadapt_sample.py`: `make train STAGES=all`.

The small Mask R-CNN learns the uncompressed images, a smaller codec learns
them for people, then both meet. Takes half an hour on two cores.
"""
_base_ = ['mask-rcnn_dynadapt_sample.py']
load_from = None
stages = [
    dict(
        name='detector', config='mask-rcnn_r18_sample.py', result='load_from'),
    dict(
        name='codec',
        config='../mean_scale_hyperprior/mean-scale-hyperprior_sample.py',
        result='model.backbone.codec.init_cfg.checkpoint')
]
model = dict(
    backbone=dict(
        codec=dict(
            hidden_channels=48,
            latent_channels=64,
            init_cfg=dict(checkpoint=None))))
train_cfg = dict(max_epochs=6, val_interval=6)
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=6, eta_min=5e-5, by_epoch=True)
]
custom_hooks = [
    _base_.custom_hooks[0],
    dict(
        type='mmhmc.TrainingStageHook',
        stages=[
            dict(begin=0, trainable=['codec', 'adapter']),
            dict(begin=4, trainable=['adapter'])
        ]),
] + _base_.custom_hooks[2:]
