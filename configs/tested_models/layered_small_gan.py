"""Faces of the small layered codec, learnt with and without a discriminator.

The weights of the latter are not in the zoo; `configs/layered/README.md` has
the commands. Distances are those of features: of YOLOX-nano, from which
neither of the two learnt (the weights that both began with had), and of
EfficientNet-Lite0, from which both did.
"""
metrics = {
    'rate/bpp': 'bpp',
    'rate/bpp_t': 't',
    'quality/psnr': 'PSNR (dB)',
    'quality/ms_ssim': 'MS-SSIM',
    'quality/BackboneLoss': 'distance, YOLOX',
    'quality/EfficientNetLoss': 'distance, EfficientNet',
}
_config = 'configs/layered/layered-small_gan.py'
tests = {
    'with a discriminator':
    dict(config=_config, checkpoint='mmhmc://layered-small_gan'),
    'the same, base layer':
    dict(
        config=_config,
        checkpoint='mmhmc://layered-small_gan',
        cfg_options={'model.codec.base_only': True}),
    'without':
    dict(
        config=_config,
        checkpoint='work_dirs/layered/no-gan_more/iter_300.pth',
        cfg_options={'model.discriminator': None}),
}
