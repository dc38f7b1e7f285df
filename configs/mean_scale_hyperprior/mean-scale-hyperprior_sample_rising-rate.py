"""The small sample codec: the rate weight rises, validation shows images.

The rate costs nothing at the first iteration and has its full weight from
iteration 500 on. `docs/tutorials/watch_training.md` explains both hooks.
"""
_base_ = './mean-scale-hyperprior_sample.py'
custom_hooks = _base_.custom_hooks + [
    dict(
        type='mmhmc.LmbdaScheduleHook',
        weight='lmbda_rate',
        points=[(0, 0.), (500, 1.)]),
    dict(type='mmhmc.CodecVisualizationHook', interval=10, max_images=4)
]
train_cfg = dict(val_interval=400)
val_cfg = dict(type='ValLoop')
val_dataloader = _base_.test_dataloader
val_evaluator = _base_.test_evaluator
