"""What the faces of CelebAMask-HQ wear, at 256x256, for mmpretrain.

With the published annotation (`attributes.json`, which the converter writes)
the 40 attributes of CelebA: `target='attributes'` in all data sets and
`model.head.num_classes=40`.
"""
_base_ = ['./celebamask.py']
train_dataloader = dict(
    dataset=dict(
        target='accessories',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PackInputs')
        ]))
val_dataloader = dict(
    _base_.val_dataloader,
    dataset=dict(
        _base_.val_dataloader.dataset,
        target='accessories',
        pipeline=[dict(type='LoadImageFromFile'),
                  dict(type='PackInputs')]))
test_dataloader = val_dataloader
val_evaluator = [
    dict(type='mmhmc.AttributeAccuracy'),
    dict(type='AveragePrecision')
]
test_evaluator = val_evaluator
