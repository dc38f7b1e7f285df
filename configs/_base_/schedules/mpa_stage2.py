"""Second stage of MPA: one task's side paths and predictors learn.

All else is frozen by the codec's `trained_task`, the host by
TrainingStageHook, so rate and bitstreams stay what they are. The objective is
the authors': `0.01 * 255^2 * MSE + 4.26 * LPIPS + 10 * ratio + task`, of the
mean squared error's path without LPIPS. So is the length, 200 epochs of 20,000
images in batches of 8.
"""
_base_ = ['../hooks/coding_in_stages.py']
# Thousands of images are coded one after another: four times will do.
train_cfg = dict(
    type='IterBasedTrainLoop', max_iters=500000, val_interval=125000)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='Adam', lr=1e-4),
    clip_grad=dict(max_norm=1.))
param_scheduler = [
    dict(type='MultiStepLR', by_epoch=False, milestones=[375000], gamma=0.1)
]
objective = dict(
    lmbda_rate=0.,
    lmbda_distortion=0.01,
    perceptual=dict(type='mmhmc.LPIPSLoss'),
    lmbda_perceptual=4.26)
training_stages = dict(by_epoch=False, path=dict(begin=0, trainable=['codec']))
coding_metrics = [dict(type='mmhmc.BitrateMetric')]
