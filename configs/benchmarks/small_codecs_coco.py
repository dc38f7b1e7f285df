"""The small codecs of the zoo before YOLOX-nano, on a part of COCO val2017.

Images are coded as the detector gets them, resized to 416 and padded: the
adaptation was trained on such images. `data/coco_sample` holds
`instances_val.json` and `images/`.
"""
_base_ = ['../_base_/benchmarks/yolox_nano_coco.py']
anchor = 'HEVC'
protocol = 'in the model'
_lmbdas = (0.0009, 0.0018, 0.0035, 0.0067)


def _standard(name, qualities):
    return dict(
        codec=dict(type=f'mmhmc.{name}'),
        points={f'qp{q}': dict(quality=q)
                for q in qualities})


def _learned(config, name, **adapter):
    return dict(
        codec=f'configs/{config}.py',
        points={
            f'lmbda{lmbda}': dict(checkpoint=f'mmhmc://{name}_{lmbda}')
            for lmbda in _lmbdas
        },
        **adapter)


_adapter = dict(type='mmhmc.DynamicAdaptation', width=32)
codecs = {
    'HEVC':
    _standard('HEVCIntra', (47, 42, 37, 32)),
    'VVC':
    _standard('VVCIntra', (47, 42, 37, 32)),
    'MeanScaleHyperprior':
    _learned('mean_scale_hyperprior/mean-scale-hyperprior_pictures',
             'mean-scale-hyperprior_pictures'),
    'Cheng2020Attention':
    _learned('cheng2020/cheng2020-attn_pictures', 'cheng2020-attn_pictures'),
    'Cheng2020Attention, adapted':
    _learned(
        'hmc/yolox-nano_dynadapt_coco_cheng2020-attn',
        'cheng2020-attn_dynadapt_coco',
        adapter=_adapter,
        without_adapter='Cheng2020Attention, adapted, without g_t'),
    'DCVCUFIntra, adapted':
    dict(
        codec='dcvc-uf-small_dynadapt_coco',
        points={f'quality{q}': dict(quality=q)
                for q in (3, 10, 19, 29, 37)},
        adapter=dict(_adapter, num_qualities=64),
        without_adapter='DCVCUFIntra'),
}
