"""Detection's path of the small MPA, coded as the detector gets images.

Images are resized to 416 and padded before they are coded, as in the training
of this path. `data/coco_sample` holds `instances_val.json` and `images/`.
"""
_base_ = ['../_base_/benchmarks/yolox_nano_coco.py']
anchor = 'main path'
protocol = 'in the model'


def _path(alpha):
    """Points of the path, or without it (0) of the main one."""
    return dict(
        codec='configs/mpa/mpa-small_pictures.py',
        points={
            f'q{q}':
            dict(
                checkpoint='mmhmc://mpa-small_pictures',
                quality=q,
                task='det',
                alpha=alpha)
            for q in (1, 2, 4, 8)
        })


codecs = {'main path': _path(0.), 'detection path': _path(1.)}
