"""A small codec for people on any folder of images, tested on Kodak.

See the text config ``hmc/mean-scale-hyperprior_pictures.py``; data and rates
are the same.
"""
from mmcv.transforms import LoadImageFromFile
from mmengine.config import read_base
from mmengine.optim import CosineAnnealingLR, LinearLR

from mmhmc.datasets import PackImageInputs, RandomCropOrPad
from mmhmc.engine import AutocastHook, KLTInitHook, Muon
from mmhmc.models import CodecModel

with read_base():
    from .._base_.codecs.mean_scale_hyperprior import *
    from .._base_.datasets.picture_crops import *
    from .._base_.default_runtime import *
    from .._base_.schedules.codec_pretrain import *

model = dict(
    type=CodecModel, codec=dict(codec, hidden_channels=64, latent_channels=96))
train_dataloader.update(batch_size=4, num_workers=1, persistent_workers=True)
train_dataloader.dataset.update(
    data_root='data/pictures',
    pipeline=[
        dict(type=LoadImageFromFile),
        dict(type=RandomCropOrPad, crop_size=128),
        dict(type=PackImageInputs)
    ])
train_cfg.update(max_iters=4000)
optim_wrapper.update(optimizer=dict(type=Muon, lr=4e-3, adamw_lr=1e-3))
param_scheduler = [
    dict(type=LinearLR, by_epoch=False, start_factor=0.1, begin=0, end=50),
    dict(
        type=CosineAnnealingLR,
        by_epoch=False,
        begin=50,
        end=4000,
        eta_min_ratio=0.02)
]
default_hooks.checkpoint.update(interval=500, max_keep_ckpts=1)
custom_hooks = custom_hooks + [
    dict(type=KLTInitHook),
    dict(
        type=AutocastHook,
        modules=['codec.g_a', 'codec.g_s'],
        channels_last=True)
]
randomness = dict(seed=0)
