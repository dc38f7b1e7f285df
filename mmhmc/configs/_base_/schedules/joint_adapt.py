"""Stages B and C: codec and adaptation on the host's losses, then g_t alone.

See the text config of the same name.
"""
from mmengine.optim import MultiStepLR, OptimWrapper
from mmengine.runner import EpochBasedTrainLoop, TestLoop, ValLoop
from torch.optim import Adam

from mmhmc.engine import (CodecOptimWrapperConstructor, EntropyTableHook,
                          FiniteLossHook, RandomStateHook, RateLossHook,
                          TrainingStageHook)

# Once: to code 5,000 images one after another may take longer than an epoch.
train_cfg = dict(type=EpochBasedTrainLoop, max_epochs=12, val_interval=12)
val_cfg = dict(type=ValLoop)
test_cfg = dict(type=TestLoop)
optim_wrapper = dict(
    type=OptimWrapper,
    optimizer=dict(type=Adam, lr=1e-4),
    clip_grad=dict(max_norm=1.0),
    constructor=CodecOptimWrapperConstructor,
    paramwise_cfg=dict(codec=dict(lr=1e-4), adapter=dict(lr=1e-4)))
param_scheduler = [
    dict(type=MultiStepLR, begin=0, end=12, milestones=[11], gamma=0.1)
]
custom_hooks = [
    dict(
        type=RateLossHook,
        lmbda_rate=1.0,
        lmbda_distortion=0.0067,
        lmbda_task=0.1),
    dict(
        type=TrainingStageHook,
        stages=[
            dict(begin=0, trainable=['codec', 'adapter']),
            dict(begin=9, trainable=['adapter'])
        ]),
    dict(type=EntropyTableHook),
    dict(type=FiniteLossHook),
    dict(type=RandomStateHook),
]
auto_scale_lr = dict(enable=False, base_batch_size=16)
