"""The small layered codec, sharper: against a discriminator, for people.

It goes on from `layered-small_parsing_rate1` of the zoo, on as many batches of
the codec as of the discriminator. The texture is a map of vectors, one for 64
x 64 pixels. EfficientNet-Lite0, which knows ImageNet, takes LPIPS's place
(`pip install 'mmhmc[imagenet]'`). Without a discriminator, to compare:
`model.discriminator=None` and half of the iterations.
"""
_base_ = ['layered-small_codec.py']
model = dict(
    codec=dict(
        texture_stride=64,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='mmhmc://layered-small_parsing_rate1')),
    perceptual=dict(_delete_=True, type='mmhmc.EfficientNetLoss'),
    lmbda_rate=2.,
    lmbda_perceptual=4.,
    lmbda_adversarial=0.1,
    lmbda_matching=2.,
    adversarial_begin=0)
train_dataloader = dict(batch_size=4)
train_cfg = dict(max_iters=900)
optim_wrapper = dict(
    optimizer=dict(lr=4e-3, adamw_lr=4e-4),
    discriminator=dict(optimizer=dict(lr=3e-4)))
param_scheduler = [dict(_base_.param_scheduler[0], T_max=900)]
test_evaluator = _base_.test_evaluator + [
    dict(
        type='mmhmc.LPIPSMetric', loss=dict(type='mmhmc.EfficientNetLoss')),
    dict(type='mmhmc.LPIPSMetric', loss=_base_.perceptual),
]
default_hooks = dict(
    logger=dict(interval=20), checkpoint=dict(interval=450, max_keep_ckpts=2))
