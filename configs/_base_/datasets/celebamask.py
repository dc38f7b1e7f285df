"""CelebAMask-HQ at 256x256: loaders without a target and a pipeline.

`tools/dataset_converters/celebamask_hq.py` makes the folder. The published
set also has a test split: `test_dataloader.dataset.split='test'`.
"""
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmhmc.CelebAMaskHQ',
        data_root='data/celebamask_hq',
        split='train'))
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmhmc.CelebAMaskHQ',
        data_root='data/celebamask_hq',
        split='val',
        test_mode=True))
