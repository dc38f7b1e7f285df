"""Stage 3, separate: neck and heads learn on the latents of a frozen codec."""
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=60, val_interval=20)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=1e-2),
    clip_grad=dict(max_norm=10),
    constructor='mmhmc.CodecOptimWrapperConstructor',
    paramwise_cfg=dict(codec=dict(lr=1e-5)))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(
        type='CosineAnnealingLR',
        T_max=60,
        begin=0,
        end=60,
        by_epoch=True,
        convert_to_iter_based=True)
]
custom_hooks = [
    # No distortion to train, so no image is decoded.
    dict(type='mmhmc.RateLossHook', lmbda_distortion=0.),
    dict(
        type='mmhmc.TrainingStageHook',
        stages=[dict(begin=0, trainable=['host'])]),
    dict(type='mmhmc.EntropyTableHook'),
    dict(type='mmhmc.FiniteLossHook'),
    dict(type='mmhmc.RandomStateHook'),
]
