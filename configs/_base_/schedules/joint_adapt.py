"""Stages B and C: codec and adaptation on the host's losses, then g_t alone.

The host is frozen throughout, as in the paper's reconstruction. The objective
is R + lmbda_distortion * 255^2 * MSE(x, x_hat) + lmbda_task * D_m; another
rate: `tools/train.py ... --lmbda 0.013`, or
`--cfg-options objective.lmbda_distortion=0.013`.
"""
_base_ = ['../hooks/coding_in_stages.py']
# Once: to code 5,000 images one after another may take longer than an epoch.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=12, val_interval=12)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='Adam', lr=1e-4),
    clip_grad=dict(max_norm=1.0),
    constructor='mmhmc.CodecOptimWrapperConstructor',
    paramwise_cfg=dict(codec=dict(lr=1e-4), adapter=dict(lr=1e-4)))
param_scheduler = [
    dict(type='MultiStepLR', begin=0, end=12, milestones=[11], gamma=0.1)
]
objective = dict(lmbda_rate=1.0, lmbda_distortion=0.0067, lmbda_task=0.1)
training_stages = dict(
    joint=dict(begin=0, trainable=['codec', 'adapter']),
    adapter=dict(begin=9, trainable=['adapter']))
coding_metrics = [
    dict(type='mmhmc.BitrateMetric'),
    dict(type='mmhmc.PSNRMetric'),
    dict(type='mmhmc.MSSSIMMetric')
]
auto_scale_lr = dict(enable=False, base_batch_size=16)
