"""CelebAMask-HQ at 256x256 with the classes of pixels, for mmseg.

`tools/dataset_converters/celebamask_hq.py` makes the folder. The published
set also has a test split: `test_dataloader.dataset.split='test'`.
"""
_data_root = 'data/celebamask_hq'
_load = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
# The hosts' own inference looks for it under this name.
test_pipeline = [*_load, dict(type='PackSegInputs')]
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmhmc.CelebAMaskHQ',
        data_root=_data_root,
        split='train',
        target='parsing',
        pipeline=[
            *_load,
            # Left and right of eyes, brows and ears change places.
            dict(
                type='RandomFlip',
                prob=0.5,
                swap_seg_labels=[(4, 5), (6, 7), (8, 9)]),
            dict(type='PackSegInputs')
        ]))
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmhmc.CelebAMaskHQ',
        data_root=_data_root,
        split='val',
        target='parsing',
        test_mode=True,
        pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = [
    dict(type='IoUMetric', iou_metrics=['mIoU', 'mFscore']),
]
test_evaluator = val_evaluator
