"""Points of a face, on images: reference of `layered_points_latent.py`."""
_base_ = [
    'mmpretrain::_base_/default_runtime.py',
    '../_base_/task_models/face_points.py',
    '../_base_/datasets/celebamask_points.py',
    '../_base_/schedules/layered_rgb.py',
]
default_hooks = dict(
    logger=dict(interval=20), checkpoint=dict(interval=20, max_keep_ckpts=2))
randomness = dict(seed=0)
