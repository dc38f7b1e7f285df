"""Second stage of MPA: one task's side paths and predictors learn.

All else is frozen by the codec's `trained_task`, the host by
TrainingStageHook, so rate and bitstreams stay what they are.
"""
train_cfg = dict(type='IterBasedTrainLoop', max_iters=100000)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='Adam', lr=1e-4),
    clip_grad=dict(max_norm=1.))
param_scheduler = [
    dict(type='MultiStepLR', by_epoch=False, milestones=[75000], gamma=0.1)
]
custom_hooks = [
    dict(
        type='mmhmc.RateLossHook',
        lmbda_rate=0.,
        lmbda_distortion=0.,
        perceptual=dict(type='mmhmc.LPIPSLoss'),
        lmbda_perceptual=4.26),
    dict(
        type='mmhmc.TrainingStageHook',
        by_epoch=False,
        stages=[dict(begin=0, trainable=['codec'])]),
    dict(type='mmhmc.EntropyTableHook'),
    dict(type='mmhmc.FiniteLossHook'),
    dict(type='mmhmc.RandomStateHook'),
]
