"""The small codec of the built-in data set, for people."""
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/codecs/mean-scale-hyperprior.py',
    '../_base_/datasets/picture_crops.py',
    '../_base_/schedules/codec_pretrain.py',
]
sample_data_root = 'data/mmhmc_sample'
model = dict(
    type='mmhmc.CodecModel',
    codec=dict(_base_.codec, hidden_channels=48, latent_channels=64))
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    dataset=dict(
        data_root=f'{sample_data_root}/train',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='mmhmc.RandomCropOrPad', crop_size=128),
            dict(type='RandomFlip', prob=0.5),
            dict(type='mmhmc.PackImageInputs')
        ]))
test_dataloader = dict(
    num_workers=0, dataset=dict(data_root=f'{sample_data_root}/val'))
train_cfg = dict(max_iters=2000)
param_scheduler = [
    dict(type='CosineAnnealingLR', by_epoch=False, T_max=2000, eta_min=5e-5)
]
optim_wrapper = dict(optimizer=dict(lr=1e-3))
default_hooks = dict(checkpoint=dict(interval=400, max_keep_ckpts=2))
custom_hooks = [dict(type='mmhmc.RateLossHook', lmbda_distortion=0.0035)
                ] + _base_.custom_hooks[1:] + [
                    dict(
                        type='mmhmc.AutocastHook',
                        modules=['codec.g_a', 'codec.g_s'],
                        channels_last=True)
                ]
randomness = dict(seed=0)
