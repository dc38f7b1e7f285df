"""A codec of 48 and 64 channels, trained for people on built-in images."""
_base_ = ['../codecs/mean-scale-hyperprior_tiny.py', './pretrained.py']
codec = dict(init_cfg=_base_.pretrained)
stages = [
    dict(
        name='codec',
        config='../mean_scale_hyperprior/mean-scale-hyperprior_sample.py',
        result='model.backbone.codec.init_cfg.checkpoint')
]
latent_neck = dict(
    type='mmhmc.CompressedDomainNeck',
    in_channels=_base_.codec.latent_channels)
