"""Hooks of a run without a codec."""
custom_hooks = [
    dict(type='mmhmc.FiniteLossHook'),
    dict(type='mmhmc.RandomStateHook'),
]
