"""Hooks of every run with a codec.

The weights of rate, distortion and task are arguments of `RateLossHook` in
`objective`: `--cfg-options objective.lmbda_distortion=0.013`.
"""
objective = dict()
custom_hooks = [
    dict(type='mmhmc.RateLossHook', settings='objective'),
    dict(type='mmhmc.EntropyTableHook'),
    dict(type='mmhmc.FiniteLossHook'),
    dict(type='mmhmc.RandomStateHook'),
]
