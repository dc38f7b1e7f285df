"""All stages of `mask-rcnn_dynadapt_sample.py`: `make train STAGES=all`.

First the small Mask R-CNN learns on uncompressed images and a smaller codec
learns for people, then stages B and C. Takes half an hour on two cores.
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
param_scheduler = [dict(_base_.param_scheduler[0], T_max=6)]
training_stages = dict(adapter=dict(begin=4))
