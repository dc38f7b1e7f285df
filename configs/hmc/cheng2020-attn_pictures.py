"""A small Cheng 2020 with attention on any folder of pictures.

Data and rates as in `mean-scale-hyperprior_pictures.py`. Its layers are
residual blocks, so it begins with random weights, and with larger steps.
"""
_base_ = ['./mean-scale-hyperprior_pictures.py']
model = dict(
    codec=dict(
        _delete_=True, type='mmhmc.Cheng2020Attention', hidden_channels=48))
train_cfg = dict(max_iters=5000)
optim_wrapper = dict(optimizer=dict(lr=2e-2))
param_scheduler = [
    _base_.param_scheduler[0],
    dict(_base_.param_scheduler[1], end=5000),
]
custom_hooks = [*_base_.custom_hooks[:-2], _base_.custom_hooks[-1]]
