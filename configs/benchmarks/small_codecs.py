"""Small codecs of the zoo on Kodak, beside standard and published ones."""
anchor = 'JPEG'
published = ['minnen2018-mean', 'cheng2020-attn']
image_metrics = ['psnr', 'ms_ssim']
datasets = dict(kodak=dict(root='data/kodak'))
_lmbdas = (0.0009, 0.0018, 0.0035, 0.0067)


def _standard(name, qualities, label):
    return dict(
        codec=dict(type=f'mmhmc.{name}'),
        points={f'{label}{q}': dict(quality=q)
                for q in qualities})


def _learned(config, name):
    return dict(
        codec=f'configs/{config}.py',
        points={
            f'lmbda{lmbda}': dict(checkpoint=f'mmhmc://{name}_{lmbda}')
            for lmbda in _lmbdas
        })


codecs = {
    'JPEG':
    _standard('JPEG', (5, 12, 25, 50), 'q'),
    'WebP':
    _standard('WebP', (1, 10, 30, 60), 'q'),
    'HEVC':
    _standard('HEVCIntra', (47, 42, 37, 32), 'qp'),
    'VVC':
    _standard('VVCIntra', (47, 42, 37, 32), 'qp'),
    'MeanScaleHyperprior':
    _learned('mean_scale_hyperprior/mean-scale-hyperprior_pictures',
             'mean-scale-hyperprior_pictures'),
    'Cheng2020Attention':
    _learned('cheng2020/cheng2020-attn_pictures', 'cheng2020-attn_pictures'),
}
