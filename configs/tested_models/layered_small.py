"""Faces parsed from the streams of the small layered codec, or from images.

Real bytes of each stream; the network for images sees uncompressed images.
"""
metrics = {
    'rate/bpp': 'bpp',
    'rate/bpp_z': 'z',
    'rate/bpp_y': 'y',
    'rate/bpp_t': 't',
    'rate/saving': 'saving',
    'mIoU': 'mIoU (%)',
    'aAcc': 'pixel accuracy (%)',
    'mFscore': 'mean F1 (%)',
}
_latent = 'configs/layered/layered-small_parsing_latent.py'
tests = {
    'images':
    dict(
        config='configs/layered/layered-small_parsing_rgb.py',
        checkpoint='mmhmc://layered-small_parsing_rgb'),
    **{
        f'streams, rate {rate}':
        dict(
            config=_latent,
            checkpoint=f'mmhmc://layered-small_parsing_rate{rate}')
        for rate in (1, 2, 4, 8)
    },
    'streams, rate 1, joint':
    dict(
        config='configs/layered/layered-small_parsing_joint.py',
        checkpoint='mmhmc://layered-small_parsing_joint'),
}
