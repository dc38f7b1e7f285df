"""Hooks of a run with a codec in which parts of the model are frozen.

`training_stages` names the stages, each with its `begin` and the parts that
it trains: `--cfg-options training_stages.adapter.begin=500`.
"""
_base_ = ['./coding.py']
training_stages = dict()
custom_hooks = [
    _base_.custom_hooks[0],
    dict(type='mmhmc.TrainingStageHook', settings='training_stages'),
    *_base_.custom_hooks[1:]
]
