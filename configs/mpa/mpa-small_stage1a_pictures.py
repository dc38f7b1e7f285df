"""Small MPA, stage 1, first half, on any folder of images.

Images (also links) go to data/pictures, Kodak, where it is tested, to
data/kodak. `FeatureLoss` replaces LPIPS, whose weights are a download.
"""
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/codecs/mpa_small.py',
    '../_base_/datasets/pictures.py',
    '../_base_/schedules/mpa_stage1.py',
]
model = dict(
    type='mmhmc.GenerativeCodecModel',
    codec=dict(_base_.codec, tasks=[]),
    perceptual=dict(type='mmhmc.FeatureLoss'),
    discriminator=None,
    condition=dict(quality=8))
test_dataloader = dict(num_workers=0)
train_cfg = dict(max_iters=4500)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type='LinearLR', by_epoch=False, start_factor=0.1, begin=0, end=100),
    dict(
        type='CosineAnnealingLR',
        by_epoch=False,
        begin=100,
        end=4500,
        eta_min=1e-4)
]
default_hooks = dict(checkpoint=dict(interval=250, max_keep_ckpts=2))
randomness = dict(seed=0)
