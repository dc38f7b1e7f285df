"""Points of the faces of CelebAMask-HQ, at 256x256, for mmpretrain."""
_base_ = ['./celebamask.py']
# Not flipped: left and right would have to change places.
_pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
train_dataloader = dict(dataset=dict(target='points', pipeline=_pipeline))
val_dataloader = dict(
    _base_.val_dataloader,
    dataset=dict(
        _base_.val_dataloader.dataset, target='points', pipeline=_pipeline))
test_dataloader = val_dataloader
val_evaluator = [dict(type='mmhmc.PointsMetric')]
test_evaluator = val_evaluator
