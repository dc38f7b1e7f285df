"""CelebAMask-HQ at 256x256: classes of pixels, what is worn, and points.

Faces of which a point is hidden are left out; nothing is flipped, for points
would have to change places.
"""
_data_root = 'data/celebamask_hq'
_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(
        type='PackSegInputs',
        meta_keys=('img_id', 'img_path', 'seg_map_path', 'ori_shape',
                   'img_shape', 'gt_parts', 'gt_points'))
]
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmhmc.CelebAMaskHQ',
        data_root=_data_root,
        split='train',
        target='multi_task',
        pipeline=_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmhmc.CelebAMaskHQ',
        data_root=_data_root,
        split='val',
        target='multi_task',
        test_mode=True,
        pipeline=_pipeline))
test_dataloader = val_dataloader
val_evaluator = [
    dict(type='IoUMetric', iou_metrics=['mIoU', 'mFscore']),
    dict(type='mmhmc.AttributeAccuracy', task='parts'),
    dict(type='mmhmc.PointsMetric', task='points'),
]
test_evaluator = val_evaluator
