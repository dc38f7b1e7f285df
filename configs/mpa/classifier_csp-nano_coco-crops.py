"""A classifier of COCO's super-categories on uncompressed images.

The head trains; the backbone is that of `yolox-nano_coco` of the
zoo, trained on COCO.
"""
_base_ = [
    'mmpretrain::_base_/default_runtime.py',
    '../_base_/task_models/classifier_csp-nano.py',
    '../_base_/datasets/coco_crops.py',
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=400, val_interval=400)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=5e-3, weight_decay=1e-2))
param_scheduler = [
    dict(type='CosineAnnealingLR', by_epoch=False, T_max=400, eta_min=1e-5)
]
default_hooks = dict(
    logger=dict(interval=50),
    checkpoint=dict(by_epoch=False, interval=200, max_keep_ckpts=2))
log_processor = dict(by_epoch=False)
randomness = dict(seed=0)
