"""Layered generative codec on faces, for people.

The folder is made by `python tools/dataset_converters/celebamask_hq.py
SOURCE`. LPIPS needs the weights of its backbone; without them
`--cfg-options model.perceptual.type=mmhmc.FeatureLoss`. Ablations:
`model.codec.fusion=concat`, `model.codec.base_only_rate=1` (no texture),
`model.discriminator=None` (no GAN), `model.codec.driver=semantic
model.codec.texture_stride=32`. Not trained here.
"""
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/codecs/layered.py',
    '../_base_/datasets/celebamask_pictures.py',
    '../_base_/schedules/layered_codec.py',
]
model = dict(
    type='mmhmc.LayeredCodecModel',
    codec=_base_.codec,
    perceptual=dict(type='mmhmc.LPIPSLoss'),
    discriminator=dict(
        type='mmhmc.TwoScaleDiscriminator',
        hidden_channels=(32, 64, 128, 256)),
    lmbda_rate=4.,
    lmbda_l1=10.,
    lmbda_perceptual=1.,
    lmbda_adversarial=1.,
    lmbda_matching=10.,
    adversarial_begin=4000)
default_hooks = dict(checkpoint=dict(interval=1000, max_keep_ckpts=2))
custom_hooks = _base_.custom_hooks + [
    dict(
        type='mmhmc.AutocastHook',
        modules=['codec.g_a', 'codec.g_a_texture', 'codec.g_s'],
        channels_last=True)
]
randomness = dict(seed=0)
