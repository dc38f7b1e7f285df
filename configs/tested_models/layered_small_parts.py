"""What parts of the small layered codec do, for people and for parsing.

Each beside what was trained by the same command but for that part. These
weights are not in the zoo; `configs/layered/README.md` has the commands.
"""
metrics = {
    'rate/bpp': 'bpp',
    'quality/psnr': 'PSNR (dB)',
    'quality/ms_ssim': 'MS-SSIM',
    'quality/ssim': 'SSIM',
    'mIoU': 'mIoU (%)',
    'aAcc': 'pixel accuracy (%)',
    'mFscore': 'mean F1 (%)',
}
_codec = 'configs/layered/layered-small_codec.py'
_latent = 'configs/layered/layered-small_parsing_latent.py'
_weights = 'work_dirs/layered'
tests = {
    'codec, rate 4':
    dict(config=_codec, checkpoint=f'{_weights}/rate4/iter_2000.pth'),
    'codec, rate 4, base layer':
    dict(
        config=_codec,
        checkpoint=f'{_weights}/rate4/iter_2000.pth',
        cfg_options={'model.codec.base_only': True}),
    'codec, rate 4, concatenation':
    dict(
        config=_codec,
        checkpoint=f'{_weights}/concat4/iter_2000.pth',
        cfg_options={'model.codec.fusion': 'concat'}),
    'codec, rate 8':
    dict(config=_codec, checkpoint=f'{_weights}/rate8/iter_600.pth'),
    'codec, rate 8, no GAN':
    dict(
        config=_codec,
        checkpoint=f'{_weights}/rate8_no-gan/iter_600.pth',
        cfg_options={'model.discriminator': None}),
    'parsing, rate 1':
    dict(config=_latent, checkpoint=f'{_weights}/latent1/epoch_20.pth'),
    'parsing, rate 1, base layer':
    dict(
        config=_latent,
        checkpoint=f'{_weights}/latent1_base/epoch_20.pth',
        cfg_options={
            'model.backbone.seen_channels': 32,
            'model.neck.in_channels': 32
        }),
    'parsing, rate 1, texture (5 epochs)':
    dict(
        config=_latent,
        checkpoint=f'{_weights}/latent1_texture/epoch_5.pth',
        cfg_options={
            'model.backbone.seen_channels': [32, 64],
            'model.neck.in_channels': 32
        }),
}
