"""The small Mask R-CNN of the built-in data set, on uncompressed images.

`make train` runs it before the codec comes. Expected: see README.
"""
_base_ = [
    'mmdet::_base_/default_runtime.py',
    '../_base_/task_models/mask-rcnn_r18_small.py',
    '../_base_/datasets/sample_instance.py',
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=24, val_interval=24)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=1e-2),
    clip_grad=dict(max_norm=10))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(
        type='CosineAnnealingLR',
        T_max=24,
        begin=0,
        end=24,
        by_epoch=True,
        convert_to_iter_based=True)
]
default_hooks = dict(
    logger=dict(interval=20),
    checkpoint=dict(interval=4, max_keep_ckpts=2, save_optimizer=True))
train_dataloader = dict(batch_size=4)
custom_hooks = [
    dict(
        type='mmhmc.AutocastHook',
        modules=[
            'backbone', 'neck', 'rpn_head', 'roi_head.bbox_head',
            'roi_head.mask_head'
        ],
        channels_last=True)
]
randomness = dict(seed=0)
