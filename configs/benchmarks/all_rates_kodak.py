"""Every rate in one set of weights, beside codecs with one rate, on Kodak.

DCVC-UF's small intra codec at eight of its qualities, and between two of them;
one checkpoint.
"""
_base_ = ['./small_codecs.py']
anchor = 'Cheng2020Attention'
published = []
_dcvc_uf = dict(
    codec='configs/dcvc_uf/dcvc-uf-small_pictures.py',
    points={
        f'quality{q}':
        dict(checkpoint='mmhmc://dcvc-uf-small_pictures', quality=q)
        for q in (1, 9, 17, 25, 33, 41, 45.5, 50, 64)
    })
_others = ('JPEG', 'HEVC', 'VVC', 'MeanScaleHyperprior', 'Cheng2020Attention')
codecs = dict(
    _delete_=True,
    **{name: _base_.codecs[name]
       for name in _others},
    DCVCUFIntra=_dcvc_uf)
