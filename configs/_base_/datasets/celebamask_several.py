"""CelebAMask-HQ at 256x256: classes of pixels, what is worn, and points.

Faces with a hidden point are left out. Nothing is flipped: left and right
points would have to change places.
"""
_base_ = ['./celebamask.py']
_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(
        type='PackSegInputs',
        meta_keys=('img_id', 'img_path', 'seg_map_path', 'ori_shape',
                   'img_shape', 'gt_parts', 'gt_points'))
]
train_dataloader = dict(dataset=dict(target='multi_task', pipeline=_pipeline))
val_dataloader = dict(
    _base_.val_dataloader,
    dataset=dict(
        _base_.val_dataloader.dataset, target='multi_task',
        pipeline=_pipeline))
test_dataloader = val_dataloader
val_evaluator = [
    dict(type='IoUMetric', iou_metrics=['mIoU', 'mFscore']),
    dict(type='mmhmc.AttributeAccuracy', task='parts'),
    dict(type='mmhmc.PointsMetric', task='points'),
]
test_evaluator = val_evaluator
