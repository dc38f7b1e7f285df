"""A small codec for people on any folder of pictures, tested on Kodak.

Pictures (also links) go to data/pictures, Kodak to data/kodak. A rate is a
value of `--lmbda`: 0.0018, 0.0035, 0.0067, 0.013. A lower rate may begin with
the weights of a higher one: `--cfg-options load_from=...`.
"""
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/codecs/mean-scale-hyperprior.py',
    '../_base_/datasets/picture_crops.py',
    '../_base_/schedules/codec_pretrain.py',
]
model = dict(
    type='mmhmc.CodecModel',
    codec=dict(_base_.codec, hidden_channels=64, latent_channels=96))
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    dataset=dict(
        data_root='data/pictures',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='mmhmc.RandomCropOrPad', crop_size=128),
            dict(type='mmhmc.PackImageInputs')
        ]))
train_cfg = dict(max_iters=6000)
param_scheduler = [
    dict(
        type='CosineAnnealingLR',
        by_epoch=False,
        T_max=6000,
        eta_min=5e-5)
]
optim_wrapper = dict(optimizer=dict(lr=1e-3))
default_hooks = dict(checkpoint=dict(interval=500, max_keep_ckpts=2))
custom_hooks = _base_.custom_hooks + [
    dict(
        type='mmhmc.AutocastHook',
        modules=['codec.g_a', 'codec.g_s'],
        channels_last=True)
]
randomness = dict(seed=0)
