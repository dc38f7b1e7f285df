"""Stage A: the codec for people, R + lmbda_distortion * 255^2 * MSE."""
_base_ = ['../hooks/coding.py']
train_cfg = dict(type='IterBasedTrainLoop', max_iters=500000)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='Adam', lr=1e-4),
    clip_grad=dict(max_norm=1.0))
param_scheduler = [
    dict(
        type='MultiStepLR',
        by_epoch=False,
        begin=0,
        end=500000,
        milestones=[450000, 480000],
        gamma=0.3)
]
objective = dict(lmbda_rate=1.0, lmbda_distortion=0.0067)
