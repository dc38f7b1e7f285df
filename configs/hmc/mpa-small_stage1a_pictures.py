"""Small MPA, stage 1, on any folder of pictures, tested on Kodak.

Pictures (also links) go to data/pictures, Kodak to data/kodak. Without
LPIPS's backbone, whose weights are a download: FeatureLoss, a stand-in, at a
small weight.
"""
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/codecs/mpa_small.py',
    '../_base_/datasets/picture_crops.py',
    '../_base_/schedules/mpa_stage1.py',
]
model = dict(
    type='mmhmc.GenerativeCodecModel',
    codec=dict(_base_.codec, tasks=[]),
    perceptual=dict(type='mmhmc.FeatureLoss'),
    lmbda_perceptual=0.1,
    discriminator=dict(
        type='mmhmc.PatchDiscriminator', hidden_channels=(16, 32, 64, 64)),
    lmbda_adversarial=0.02,
    condition=dict(quality=8))
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
test_dataloader = dict(num_workers=0)
train_cfg = dict(max_iters=3000)
optim_wrapper = dict(optimizer=dict(lr=5e-4))
param_scheduler = [
    dict(
        type='CosineAnnealingLR', by_epoch=False, T_max=3000, eta_min=2e-5)
]
default_hooks = dict(checkpoint=dict(interval=250, max_keep_ckpts=1))
randomness = dict(seed=0)
