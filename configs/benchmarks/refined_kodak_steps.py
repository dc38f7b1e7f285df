"""Time against gain: searches of 10 to 300 steps, on two Kodak images.

300 steps take a minute for an image on one core; times are in `encode_ms` of
the results.
"""
_base_ = ['./refined_kodak.py']
datasets = dict(kodak=dict(num_images=2))
_plain = _base_.codecs['MeanScaleHyperprior']
codecs = dict(
    _delete_=True,
    MeanScaleHyperprior=_plain,
    **{
        f'{steps} steps': dict(_plain, refinement=dict(steps=steps))
        for steps in (10, 30, 100, 300)
    })
