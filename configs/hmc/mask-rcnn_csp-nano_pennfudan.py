"""Mask R-CNN for Penn-Fudan on uncompressed images.

Only neck and heads train; the backbone is that of `yolox-nano_coco` of the
zoo, trained on COCO. Expected: see README.
"""
_base_ = [
    'mmdet::_base_/default_runtime.py',
    '../_base_/task_models/mask-rcnn_csp-nano.py',
    '../_base_/datasets/pennfudan_instance.py',
    '../_base_/schedules/mask-rcnn_alone.py',
]
train_cfg = dict(max_epochs=32, val_interval=32)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(_base_.param_scheduler[0], end=50),
    dict(_base_.param_scheduler[1], T_max=32, end=32)
]
default_hooks = dict(
    logger=dict(interval=25), checkpoint=dict(interval=8, max_keep_ckpts=2))
randomness = dict(seed=0)
