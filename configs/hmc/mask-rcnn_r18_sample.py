"""The small Mask R-CNN of the built-in data set, on uncompressed images.

`make train` runs it before the codec comes. Expected: see README.
"""
_base_ = [
    'mmdet::_base_/default_runtime.py',
    '../_base_/task_models/mask-rcnn_r18_small.py',
    '../_base_/datasets/sample_instance.py',
    '../_base_/schedules/mask-rcnn_alone.py',
]
default_hooks = dict(
    logger=dict(interval=20),
    checkpoint=dict(interval=4, max_keep_ckpts=2, save_optimizer=True))
train_dataloader = dict(batch_size=4)
randomness = dict(seed=0)
