"""PSPNet for CamVid on uncompressed images.

Neck and head train; the backbone is that of `yolox-nano_coco` of the
zoo, trained on COCO.
"""
_base_ = [
    '../_base_/mmseg_runtime_by_iter.py',
    '../_base_/task_models/pspnet_csp-nano.py',
    '../_base_/datasets/camvid_semantic.py',
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=600, val_interval=600)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
train_dataloader = dict(batch_size=8)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=1e-2),
    clip_grad=dict(max_norm=10))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(type='PolyLR', by_epoch=False, power=0.9, begin=50, end=600)
]
default_hooks = dict(checkpoint=dict(interval=200))
randomness = dict(seed=0)
