"""Half of `data/imagenet_sample` to learn from, half to test, 256x256.

Every other line of `labels.txt` is learnt from: crops and flips, without Mixup
and CutMix, in batches of 8. Of the rest the middle is tested.
"""
_base_ = ['./imagenet_sample.py']
_half = 250
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='RandomResizedCrop',
        scale=256,
        backend='pillow',
        interpolation='bicubic'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs')
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='ResizeEdge', scale=256, edge='short'),
    dict(type='CenterCrop', crop_size=256),
    dict(type='PackInputs')
]
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        _base_.test_dataloader.dataset,
        indices=list(range(0, 2 * _half, 2)),
        pipeline=train_pipeline))
val_dataloader = dict(
    _base_.test_dataloader,
    dataset=dict(
        _base_.test_dataloader.dataset,
        indices=list(range(1, 2 * _half, 2)),
        pipeline=test_pipeline))
test_dataloader = val_dataloader
