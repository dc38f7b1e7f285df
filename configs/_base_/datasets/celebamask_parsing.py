"""Faces of CelebAMask-HQ with the classes of pixels, for mmseg."""
_base_ = ['./celebamask.py']
_load = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
# The hosts' own inference looks for it under this name.
test_pipeline = [*_load, dict(type='PackSegInputs')]
train_dataloader = dict(
    dataset=dict(
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
    _base_.val_dataloader,
    dataset=dict(
        _base_.val_dataloader.dataset,
        target='parsing',
        pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = [
    dict(type='IoUMetric', iou_metrics=['mIoU', 'mFscore']),
]
test_evaluator = val_evaluator
