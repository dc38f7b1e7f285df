"""The lowest rates of one set of weights, beside HEVC's own curve, on Kodak.

`DCVCUFIntra` as it is, and after a search for people, which takes 20 seconds
for an image on one core. HEVC has many points here: its curve bends, and a
straight line between two of them is above it.
"""
anchor = 'HEVC'
image_metrics = ['psnr']
datasets = dict(kodak=dict(root='data/kodak'))
_low = dict(
    codec='configs/dcvc_uf/dcvc-uf-small_pictures.py',
    points={
        f'quality{q}':
        dict(checkpoint='mmhmc://dcvc-uf-small_pictures', quality=q)
        for q in (1, 5, 9, 13)
    })
codecs = {
    'HEVC':
    dict(
        codec=dict(type='mmhmc.HEVCIntra'),
        points={f'qp{qp}': dict(quality=qp)
                for qp in (46, 45, 44, 43, 42, 41)}),
    'DCVCUFIntra':
    _low,
    'DCVCUFIntra, 15 steps':
    dict(_low, refinement=dict(steps=15)),
}
