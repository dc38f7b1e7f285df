"""Stage 3, joint: codec, neck and heads learn on one objective.

Rate, distortion, perceptual distance and the task's losses; the codec at a
hundredth of the heads' learning rate, which is its own last. The
discriminator does not take part.
"""
_base_ = ['./layered_heads.py']
custom_hooks = [
    dict(
        type='mmhmc.RateLossHook',
        lmbda_rate=4.,
        lmbda_distortion=0.001,
        perceptual=dict(type='mmhmc.LPIPSLoss'),
        lmbda_perceptual=1.,
        lmbda_task=1.),
    dict(type='mmhmc.EntropyTableHook'),
    dict(type='mmhmc.FiniteLossHook'),
    dict(type='mmhmc.RandomStateHook'),
]
