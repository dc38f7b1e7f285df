"""The paper's recipe for two CPU cores: every image at a rate of its own.

The paper's weights of the distortion are 10 to 2048, by logarithm, of squares
of [0, 1] that are summed over the three colours; these are means.
"""
_base_ = ['./codec_pretrain.py']
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=1e-3),
    clip_grad=dict(max_norm=0.1))
objective = dict(lmbda_distortion=[
    3 / 255**2 * 10 * (2048 / 10)**(q / 63) for q in range(64)
])
custom_hooks = [
    *_base_.custom_hooks,
    dict(
        type='mmhmc.AutocastHook',
        modules=['codec.g_a', 'codec.g_s'],
        channels_last=True)
]
