"""What the faces of CelebAMask-HQ wear, at 256x256, for mmpretrain.

With the published annotation (`attributes.json`, which the converter writes)
the 40 attributes of CelebA: `target='attributes'` in all data sets and
`model.head.num_classes=40`.
"""
_data_root = 'data/celebamask_hq'
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmhmc.CelebAMaskHQ',
        data_root=_data_root,
        split='train',
        target='accessories',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PackInputs')
        ]))
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmhmc.CelebAMaskHQ',
        data_root=_data_root,
        split='val',
        target='accessories',
        test_mode=True,
        pipeline=[dict(type='LoadImageFromFile'),
                  dict(type='PackInputs')]))
test_dataloader = val_dataloader
val_evaluator = [
    dict(type='mmhmc.AttributeAccuracy'),
    dict(type='AveragePrecision')
]
test_evaluator = val_evaluator
