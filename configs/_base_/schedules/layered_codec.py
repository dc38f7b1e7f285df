"""Stages 1 and 2 of layered generative coding: alone, then with a GAN.

A fifth of the batches is the codec's alone, then it takes turns with the
discriminator. Another rate: `--cfg-options model.lmbda_rate=8`; the range of
the paper, 0.02 to 0.12 bpp, lies between about 2 and 32. The losses are the
model's; `RateLossHook` only tells the metrics what was coded.
"""
_base_ = ['../hooks/coding.py']
train_cfg = dict(type='IterBasedTrainLoop', max_iters=20000)
optim_wrapper = dict(
    constructor='mmhmc.AlternatingOptimWrapperConstructor',
    optimizer=dict(type='Adam', lr=2e-4, betas=(0.5, 0.9)),
    clip_grad=dict(max_norm=1.),
    discriminator=dict(clip_grad=None))
param_scheduler = [
    dict(type='CosineAnnealingLR', by_epoch=False, T_max=20000, eta_min=1e-5)
]
# For several processes: one part's weights ask for no gradient.
find_unused_parameters = True
