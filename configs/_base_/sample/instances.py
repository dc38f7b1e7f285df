"""Boxes and masks of the built-in data set, by a small Mask R-CNN."""
_base_ = [
    'mmdet::_base_/default_runtime.py',
    '../task_models/mask-rcnn_r18_small.py',
    '../datasets/sample_instance.py',
]
default_hooks = dict(
    logger=dict(interval=20), checkpoint=dict(max_keep_ckpts=2))
randomness = dict(seed=0)
