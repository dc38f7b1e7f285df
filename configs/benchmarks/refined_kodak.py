"""Searches of 10 to 300 steps for people, on the 24 Kodak images.

Small codecs of the zoo at four rates, each against itself without a search.
Half a minute for an image and 100 steps on one core: `--jobs` and `--resume`
help. Time is in `encode_ms` of the results.
"""
anchor = 'MeanScaleHyperprior'
image_metrics = ['psnr', 'ms_ssim']
datasets = dict(kodak=dict(root='data/kodak'))
_lmbdas = (0.0009, 0.0018, 0.0035, 0.0067)


def _row(config, name, steps):
    search = {} if steps is None else dict(refinement=dict(steps=steps))
    return dict(
        codec=f'configs/{config}/{name}.py',
        points={
            f'lmbda{lmbda}': dict(checkpoint=f'mmhmc://{name}_{lmbda}')
            for lmbda in _lmbdas
        },
        **search)


codecs = {}
for _label, _config, _name, _all_steps in (
    ('MeanScaleHyperprior', 'mean_scale_hyperprior',
     'mean-scale-hyperprior_pictures', (None, 10, 30, 100, 300)),
    ('Cheng2020Attention', 'cheng2020', 'cheng2020-attn_pictures', (None, 30,
                                                                    100)),
):
    for _steps in _all_steps:
        _text = _label if _steps is None else f'{_label}, {_steps} steps'
        codecs[_text] = _row(_config, _name, _steps)
