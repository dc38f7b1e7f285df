"""The paper's objective for two CPU cores: every image at a rate of its own.

The paper's weights of the distortion are 10 to 2048, by logarithm, of squares
of [0, 1] that are summed over the three colours; these are means, and up to
1024. Rate and distortion of an image are divided by the root of its weight:
few steps would else be spent on the highest rates, whose losses are largest.
"""
_base_ = ['./codec_pretrain.py']
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='mmhmc.Muon', lr=3e-3, adamw_lr=1e-3),
    clip_grad=dict(max_norm=0.1))
objective = dict(
    lmbda_rate=[102.4**(0.25 - q / 126) for q in range(64)],
    lmbda_distortion=[
        3 / 255**2 * 10 * 102.4**(0.25 + q / 126) for q in range(64)
    ])
custom_hooks = [
    *_base_.custom_hooks,
    dict(
        type='mmhmc.AutocastHook',
        modules=[
            'codec.g_a', 'codec.g_s', 'codec.fusion', 'codec.adaptors.0',
            'codec.adaptors.1', 'codec.adaptors.2', 'codec.spatial'
        ],
        channels_last=True),
    dict(type='mmhmc.KLTInitHook', num_images=200),
    dict(type='EMAHook', ema_type='MomentumAnnealingEMA', momentum=0.0005)
]
