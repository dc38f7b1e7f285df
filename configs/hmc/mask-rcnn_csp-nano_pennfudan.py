"""Mask R-CNN for Penn-Fudan on uncompressed images.

Only neck and heads train; the backbone comes from a COCO-trained YOLOX-nano,
`data/weights/yolox_nano_mmdet.pth`. Expected: see README.
"""
_base_ = [
    'mmdet::_base_/default_runtime.py',
    '../_base_/task_models/mask-rcnn_csp-nano.py',
    '../_base_/datasets/pennfudan_instance.py',
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=32, val_interval=32)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=1e-2),
    clip_grad=dict(max_norm=10))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(
        type='CosineAnnealingLR',
        T_max=32,
        begin=0,
        end=32,
        by_epoch=True,
        convert_to_iter_based=True)
]
default_hooks = dict(
    logger=dict(interval=25), checkpoint=dict(interval=8, max_keep_ckpts=2))
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
