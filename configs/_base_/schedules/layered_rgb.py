"""As `layered_heads.py`, without a codec."""
_base_ = ['./layered_heads.py']
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=1e-2),
    clip_grad=dict(max_norm=10))
custom_hooks = [
    dict(type='mmhmc.FiniteLossHook'),
    dict(type='mmhmc.RandomStateHook'),
]
