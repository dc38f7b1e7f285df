"""Random crops of all images of a folder; whole Kodak images to test."""
train_dataloader = dict(
    batch_size=16,
    num_workers=4,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='mmhmc.ImageFolder',
        data_root='data/coco/train2017',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='mmhmc.RandomCropOrPad', crop_size=256),
            dict(type='RandomFlip', prob=0.5),
            dict(type='mmhmc.PackImageInputs')
        ]))
test_dataloader = dict(
    batch_size=1,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmhmc.ImageFolder',
        data_root='data/kodak',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='mmhmc.PackImageInputs')
        ]))
test_cfg = dict(type='TestLoop')
test_evaluator = [
    dict(type='mmhmc.BitrateMetric'),
    dict(type='mmhmc.PSNRMetric'),
    dict(type='mmhmc.MSSSIMMetric')
]
