"""First stage of MPA: all of the codec learns, for people.

One quality of 1 to 8 is drawn for each batch. With a discriminator, codec and
discriminator learn on successive batches. The losses are the model's;
`RateLossHook` only tells the metrics what was coded.
"""
_base_ = ['../hooks/coding.py']
train_cfg = dict(type='IterBasedTrainLoop', max_iters=1000000)
optim_wrapper = dict(
    constructor='mmhmc.AlternatingOptimWrapperConstructor',
    optimizer=dict(type='Adam', lr=1e-4),
    clip_grad=dict(max_norm=1.),
    discriminator=dict(clip_grad=None))
# A quality's discriminator does not see every batch.
find_unused_parameters = True
param_scheduler = [
    dict(type='MultiStepLR', by_epoch=False, milestones=[750000], gamma=0.1)
]
