"""Training of a layered generative codec on faces; the codec is a leaf's."""
_base_ = [
    '../default_runtime.py',
    '../datasets/celebamask_pictures.py',
    '../schedules/layered_codec.py',
]
model = dict(
    type='mmhmc.LayeredCodecModel',
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
