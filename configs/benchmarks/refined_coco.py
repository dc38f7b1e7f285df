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
_reader = dict(type='mmhmc.HostReader', config='machines', at_own_size=True)
codecs = {
    'MeanScaleHyperprior':
    _plain,
    'MeanScaleHyperprior, YOLOX-nano':
    dict(_plain, refinement=dict(steps=30, readers=[_reader])),
}
