"""A small codec for people on any folder of images, tested on Kodak.

Images (also links) go to data/pictures, Kodak to data/kodak. A rate is a
value of `--lmbda`: 0.0067, 0.0035, 0.0018, 0.0009, 0.00045. The first one
begins as a linear transform, each other one with those of the rate above:
`--cfg-options load_from=FILE train_cfg.max_iters=5000
param_scheduler.1.end=5000`. The zoo's first one went on for 22000 steps, as
the README says.
"""
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/codecs/mean-scale-hyperprior_small.py',
    '../_base_/datasets/pictures.py',
    '../_base_/schedules/codec_pretrain_small.py',
]
model = dict(type='mmhmc.CodecModel', codec=_base_.codec)
train_cfg = dict(max_iters=4000)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='mmhmc.Muon', lr=4e-3, adamw_lr=1e-3))
param_scheduler = [
    dict(type='LinearLR', by_epoch=False, start_factor=0.1, begin=0, end=50),
    dict(
        type='CosineAnnealingLR',
        by_epoch=False,
        begin=50,
        end=4000,
        eta_min_ratio=0.02)
]
custom_hooks = [*_base_.custom_hooks, dict(type='mmhmc.KLTInitHook')]
default_hooks = dict(checkpoint=dict(interval=500, max_keep_ckpts=1))
randomness = dict(seed=0)
