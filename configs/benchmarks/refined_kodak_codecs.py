"""Searches of 30 steps for people with other codecs, on two Kodak images."""
_base_ = ['./refined_kodak_steps.py']
anchor = 'Cheng2020Attention'
_cheng = dict(
    codec='configs/cheng2020/cheng2020-attn_pictures.py',
    points={
        f'lmbda{lmbda}':
        dict(checkpoint=f'mmhmc://cheng2020-attn_pictures_{lmbda}')
        for lmbda in (0.0009, 0.0018, 0.0035, 0.0067)
    })
_all_rates = dict(
    codec='configs/dcvc_uf/dcvc-uf-small_pictures.py',
    points={
        f'q{quality}': dict(
            checkpoint='mmhmc://dcvc-uf-small_pictures', quality=quality)
        for quality in (9, 25, 41, 57)
    })
_search = dict(refinement=dict(steps=30))
codecs = {
    '_delete_': True,
    'Cheng2020Attention': _cheng,
    'Cheng2020Attention, 30 steps': dict(_cheng, **_search),
    'DCVCUFIntra': _all_rates,
    'DCVCUFIntra, 30 steps': dict(_all_rates, **_search),
}
