"""Paths of one small MPA checkpoint, each by the metric that it is for.

Kodak for people and for the mean squared error at all qualities, CamVid for
segmentation at four. Detection: `mpa_small_coco.py`; classification:
`configs/tested_models/mpa_small_imagenet.py`. The weights are the zoo's;
`configs/mpa/README.md` has the commands that make them.
"""
anchor = 'main path'
image_metrics = ['psnr', 'ms_ssim', 'feature_distance']
datasets = dict(
    kodak=dict(root='data/kodak'),
    camvid=dict(root='data/camvid/val'))
tasks = dict(
    pspnet=dict(
        config='configs/mpa/pspnet_csp-nano_camvid.py',
        checkpoint='mmhmc://pspnet_csp-nano_camvid',
        dataset='camvid',
        metrics=['mIoU']))
_weights = 'mmhmc://mpa-small_pictures'

_few = (1, 2, 4, 8)


def _path(task, alpha, **datasets):
    """Points of one path: data sets with their qualities."""
    return dict(
        codec='configs/mpa/mpa-small_pictures.py',
        points={
            f'q{q}':
            dict(
                checkpoint=_weights,
                quality=q,
                task=task,
                alpha=alpha,
                datasets=[
                    name for name, those in datasets.items() if q in those
                ])
            for q in range(1, 9)
            if any(q in those for those in datasets.values())
        })


codecs = {
    # Which task is the same to the main path.
    'main path':
    _path('mse', 0., kodak=range(1, 9), camvid=_few),
    'MSE path':
    _path('mse', 1., kodak=range(1, 9)),
    'segmentation path':
    _path('seg', 1., camvid=_few),
}
