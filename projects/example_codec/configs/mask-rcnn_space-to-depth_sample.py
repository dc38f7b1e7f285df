"""The codec, with dynamic adaptation, before a small Mask R-CNN.

A detector on uncompressed images and the codec alone are trained first, as
in the config that this one inherits.
"""
_base_ = ['../../../configs/hmc/mask-rcnn_dynadapt_sample.py']
custom_imports = dict(
    imports=['projects.example_codec.example_codec'],
    allow_failed_imports=False)
stages = [
    dict(
        name='detector',
        config='../../../configs/hmc/mask-rcnn_r18_sample.py',
        result='load_from'),
    dict(
        name='codec',
        config='space-to-depth_sample.py',
        result='model.backbone.codec.init_cfg.checkpoint')
]
model = dict(
    backbone=dict(
        codec=dict(
            _delete_=True,
            type='mmhmc.SpaceToDepthCodec',
            hidden_channels=48,
            latent_channels=128,
            init_cfg=dict(type='Pretrained', checkpoint=None,
                          prefix='codec.'))))
