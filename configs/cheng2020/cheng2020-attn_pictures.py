"""A small Cheng 2020 with attention on any folder of images.

Data, rates and steps as in `mean-scale-hyperprior_pictures.py`; with 48
channels, hidden and latent, its PSNR would not get beyond 28 dB. Rates below
the first: `--cfg-options load_from=FILE train_cfg.max_iters=4500
param_scheduler.1.end=4500`.
"""
_base_ = ['../mean_scale_hyperprior/mean-scale-hyperprior_pictures.py']
model = dict(
    codec=dict(
        _delete_=True,
        type='mmhmc.Cheng2020Attention',
        hidden_channels=32,
        latent_channels=76))
train_cfg = dict(max_iters=8000)
param_scheduler = [
    _base_.param_scheduler[0],
    dict(_base_.param_scheduler[1], end=8000),
]
