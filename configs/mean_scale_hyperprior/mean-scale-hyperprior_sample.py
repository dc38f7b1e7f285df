"""The small codec of the built-in data set, for people."""
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/codecs/mean-scale-hyperprior_tiny.py',
    '../_base_/datasets/picture_crops.py',
    '../_base_/schedules/codec_pretrain_small.py',
]
sample_data_root = 'data/mmhmc_sample'
model = dict(type='mmhmc.CodecModel', codec=_base_.codec)
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
objective = dict(lmbda_distortion=0.0035)
default_hooks = dict(checkpoint=dict(interval=400, max_keep_ckpts=2))
randomness = dict(seed=0)
