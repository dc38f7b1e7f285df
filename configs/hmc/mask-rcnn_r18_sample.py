"""The small Mask R-CNN of the built-in data set, on uncompressed images.

`make train STAGES=all` trains it before the codec. Expected: see README.
"""
_base_ = [
    '../_base_/sample/instances.py',
    '../_base_/schedules/mask-rcnn_alone.py',
]
default_hooks = dict(checkpoint=dict(interval=4, save_optimizer=True))
train_dataloader = dict(batch_size=4)
