"""Images of CelebAMask-HQ at 256x256, for a codec alone."""
_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mmhmc.PackImageInputs')
]
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='mmhmc.ImageFolder',
        data_root='data/celebamask_hq/train/images',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='RandomFlip', prob=0.5),
            dict(type='mmhmc.PackImageInputs')
        ]))
test_dataloader = dict(
    batch_size=1,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmhmc.ImageFolder',
        data_root='data/celebamask_hq/val/images',
        pipeline=_pipeline))
test_cfg = dict(type='TestLoop')
test_evaluator = [
    dict(type='mmhmc.BitrateMetric'),
    dict(type='mmhmc.PSNRMetric'),
    dict(type='mmhmc.MSSSIMMetric'),
    dict(type='mmhmc.SSIMMetric')
]
