"""Points of the faces of CelebAMask-HQ, at 256x256, for mmpretrain."""
_data_root = 'data/celebamask_hq'
# Not flipped: left and right would have to change places.
_pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmhmc.CelebAMaskHQ',
        data_root=_data_root,
        split='train',
        target='points',
        pipeline=_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmhmc.CelebAMaskHQ',
        data_root=_data_root,
        split='val',
        target='points',
        test_mode=True,
        pipeline=_pipeline))
test_dataloader = val_dataloader
val_evaluator = [dict(type='mmhmc.PointsMetric')]
test_evaluator = val_evaluator
