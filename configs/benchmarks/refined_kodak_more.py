"""Other searches for people on Kodak: 10 to 300 steps, and a second codec.

100 steps take half a minute for an image on one core: `--jobs` and `--resume`
help.
"""
_base_ = ['./refined_kodak.py']
_first = _base_.codecs['MeanScaleHyperprior']
_second = dict(
    codec='configs/cheng2020/cheng2020-attn_pictures.py',
    points={
        f'lmbda{lmbda}':
        dict(checkpoint=f'mmhmc://cheng2020-attn_pictures_{lmbda}')
        for lmbda in (0.0009, 0.0018, 0.0035, 0.0067)
    })
codecs = {
    **{
        f'MeanScaleHyperprior, {steps} steps':
        dict(_first, refinement=dict(steps=steps))
        for steps in (10, 100, 300)
    }, 'Cheng2020Attention': _second,
    **{
        f'Cheng2020Attention, {steps} steps':
        dict(_second, refinement=dict(steps=steps))
        for steps in (30, 100)
    }
}
