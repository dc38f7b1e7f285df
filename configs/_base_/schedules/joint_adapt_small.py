"""`joint_adapt.py` for small models on two CPU cores."""
_base_ = ['./joint_adapt.py']
optim_wrapper = dict(
    optimizer=dict(lr=3e-4),
    paramwise_cfg=dict(codec=dict(lr=3e-4), adapter=dict(lr=1e-3)))
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=12, eta_min=5e-5, by_epoch=True)
]
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='mmhmc.AutocastHook', modules=['backbone'], channels_last=True)
]
