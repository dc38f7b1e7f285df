"""What a face wears, on images: reference of `layered_parts_latent.py`."""
_base_ = [
    'mmpretrain::_base_/default_runtime.py',
    '../_base_/task_models/face_parts.py',
    '../_base_/datasets/celebamask_parts.py',
    '../_base_/schedules/layered_rgb.py',
]
default_hooks = dict(
    logger=dict(interval=20), checkpoint=dict(interval=20, max_keep_ckpts=2))
randomness = dict(seed=0)
