"""A search for YOLOX-nano, before YOLOX-nano, on COCO val2017.

Images are coded as the detector gets them, resized to 416 and padded. The
encoder knows the detector and the original, never the labels; the codec's
weights know neither. Five seconds for an image on one core. `data/coco_sample`
holds `instances_val.json` and `images/`.
"""
_base_ = ['../_base_/benchmarks/yolox_nano_coco.py']
anchor = 'MeanScaleHyperprior'
protocol = 'in the model'
_plain = dict(
    codec='configs/mean_scale_hyperprior/mean-scale-hyperprior_pictures.py',
    points={
        f'lmbda{lmbda}':
        dict(checkpoint=f'mmhmc://mean-scale-hyperprior_pictures_{lmbda}')
        for lmbda in (0.0009, 0.0018, 0.0035, 0.0067)
    })


def _search(model='machines', **settings):
    return dict(
        steps=30,
        readers=[
            dict(type='mmhmc.HostReader', config=model, at_own_size=True)
        ],
        **settings)


# Below the lowest rate of the weights: less counts beside the bits.
_lower = {
    f'lmbda{lmbda}':
    dict(
        checkpoint='mmhmc://mean-scale-hyperprior_pictures_0.0009',
        refinement=_search(lmbda=lmbda))
    for lmbda in (0.0001, 0.0003)
}
codecs = {
    'MeanScaleHyperprior':
    _plain,
    'MeanScaleHyperprior, YOLOX-nano':
    dict(
        _plain,
        points=dict(_lower, **_plain['points']),
        refinement=_search()),
    'MeanScaleHyperprior, EfficientNet':
    dict(
        _plain,
        points={'lmbda0.0018': _plain['points']['lmbda0.0018']},
        refinement=_search('efficientnet-lite0_imagenet-sample')),
}
