"""Small intra codec of DCVC-UF on any folder of images, tested on Kodak.

Images (also links) go to data/pictures, Kodak to data/kodak. One training
has all rates. A rate to test: `--cfg-options model.condition.quality=32`,
from 1 to 64. A run that was stopped goes on with `--resume`.
"""
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/codecs/dcvc-uf_small.py',
    '../_base_/datasets/pictures.py',
    '../_base_/schedules/dcvc-uf_small.py',
]
model = dict(
    type='mmhmc.CodecModel',
    codec=_base_.codec,
    condition=dict(quality=64),
    train_condition=dict(quality=list(range(1, 65))))
train_dataloader = dict(
    batch_size=8,
    dataset=dict(pipeline=[
        dict(type='LoadImageFromFile'),
        dict(type='mmhmc.RandomCropOrPad', crop_size=128),
        dict(type='RandomFlip', prob=0.5),
        dict(type='mmhmc.PackImageInputs')
    ]))
train_cfg = dict(max_iters=16000)
param_scheduler = [
    dict(type='LinearLR', by_epoch=False, start_factor=0.1, begin=0, end=50),
    dict(
        type='CosineAnnealingLR',
        by_epoch=False,
        begin=50,
        end=16000,
        eta_min_ratio=0.02)
]
default_hooks = dict(checkpoint=dict(interval=250, max_keep_ckpts=2))
randomness = dict(seed=0)
