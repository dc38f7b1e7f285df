"""`codec_pretrain.py` for small codecs on two CPU cores."""
_base_ = ['./codec_pretrain.py']
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type='CosineAnnealingLR', by_epoch=False, T_max=2000, eta_min=5e-5)
]
custom_hooks = [
    *_base_.custom_hooks,
    dict(
        type='mmhmc.AutocastHook',
        modules=['codec.g_a', 'codec.g_s'],
        channels_last=True)
]
