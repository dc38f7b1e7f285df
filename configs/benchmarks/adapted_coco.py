"""One file for people and for YOLOX-nano, by all means there are, on COCO val.

Images are coded as the detector gets them, resized to 416 and padded. An
encoder that was trained for the detector; g_t before the detector; a search
for each image, of a simpler codec; and among standard codecs HEVC with a map
of the pixels that move the detector's features. Files of `DCVCUFIntra`,
encoder and adapted are read and shown by the same decoder. A search takes five
seconds for an image on one core. Rates end where the detector finds what it
finds in the original: a curve that does not rise has no BD-rate.
`data/coco_sample` holds `instances_val.json` and `images/`.
"""
_base_ = ['../_base_/benchmarks/yolox_nano_coco.py']
anchor = 'DCVCUFIntra'
protocol = 'in the model'
tasks = dict(yolox=dict(metrics=['coco/bbox_mAP', 'quality/psnr']))
_reader = dict(type='mmhmc.HostReader', config='machines', at_own_size=True)


def _standard(name, qps, **importance):
    return dict(
        codec=dict(type=f'mmhmc.{name}', **importance),
        points={f'qp{qp}': dict(quality=qp)
                for qp in qps})


def _all_rates(name, **others):
    return dict(
        codec=f'dcvc-uf-small_{name}',
        points={f'quality{q}': dict(quality=q)
                for q in (3, 10, 19, 29, 37)},
        **others)


def _mean_scale(*lmbdas, **others):
    return dict(
        codec='configs/mean_scale_hyperprior/'
        'mean-scale-hyperprior_pictures.py',
        points={
            f'lmbda{lmbda}':
            dict(checkpoint=f'mmhmc://mean-scale-hyperprior_pictures_{lmbda}')
            for lmbda in lmbdas
        },
        **others)


_search = dict(steps=30, readers=[_reader])
# Below the lowest rate of weights: less counts beside the bits.
_lower = {
    f'lmbda{lmbda}':
    dict(
        checkpoint='mmhmc://mean-scale-hyperprior_pictures_0.00045',
        refinement=dict(_search, lmbda=lmbda))
    for lmbda in (0.00002, 0.0001)
}
_searched = _mean_scale(0.00045, 0.0009, 0.0018, refinement=_search)
codecs = {
    'HEVC':
    _standard('HEVCIntra', (47, 42, 37, 32)),
    'HEVC, map':
    _standard(
        'HEVCIntra', (47, 42, 37, 32),
        importance=dict(type='mmhmc.SketchMap', reader=_reader)),
    'VVC':
    _standard('VVCIntra', (47, 42, 37, 32)),
    'MeanScaleHyperprior':
    _mean_scale(0.00045, 0.0009, 0.0018, 0.0035, 0.0067),
    'MeanScaleHyperprior, YOLOX-nano':
    dict(_searched, points=dict(_lower, **_searched['points'])),
    'DCVCUFIntra':
    _all_rates('pictures'),
    'encoder':
    _all_rates('encoder_coco'),
    'adapted':
    _all_rates(
        'dynadapt_coco',
        adapter=dict(
            type='mmhmc.DynamicAdaptation', width=32, num_qualities=64),
        without_adapter='adapted, without g_t'),
}
