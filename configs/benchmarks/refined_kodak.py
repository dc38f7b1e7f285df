"""Searches of 30 and 100 steps for people, on the 24 Kodak images.

A small codec of the zoo at four rates against itself without a search. 30
steps take eight seconds for an image on one core; times are in `encode_ms` of
the results.
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


_label, _config = 'MeanScaleHyperprior', 'mean_scale_hyperprior'
_name = 'mean-scale-hyperprior_pictures'
codecs = {
    _label: _row(_config, _name, None),
    f'{_label}, 30 steps': _row(_config, _name, 30),
    f'{_label}, 100 steps': _row(_config, _name, 100),
}
