"""Small MPA, stage 1, second half: against a discriminator per quality.

MS-SSIM replaces LPIPS: the paths for machines are compared with this one, so
it must not learn from features of a network. Rates weigh four times as much as
published; at the published weights hosts lose too little accuracy for a path
of their own to help.
"""
_base_ = ['mpa-small_stage1a_pictures.py']
stages = [
    dict(
        name='1a', config='mpa-small_stage1a_pictures.py', result='load_from')
]
model = dict(
    perceptual=dict(_delete_=True, type='mmhmc.MSSSIMLoss'),
    lmbda_rate=(72., 37.28, 19.32, 10., 5.2, 2.68, 1.4, 0.72),
    lmbda_distortion=0.003,
    lmbda_perceptual=15.,
    max_shift=0,
    discriminator=dict(
        _delete_=True,
        type='mmhmc.PatchDiscriminator',
        hidden_channels=(16, 32, 64, 64)))
train_dataloader = dict(
    batch_size=2,
    dataset=dict(pipeline=[
        dict(type='LoadImageFromFile'),
        dict(type='mmhmc.RandomCropOrPad', crop_size=192),
        dict(type='mmhmc.PackImageInputs')
    ]))
train_cfg = dict(max_iters=1500)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='mmhmc.Muon', lr=2e-3, adamw_lr=3e-4),
    discriminator=dict(optimizer=dict(type='Adam', lr=1e-3, betas=(0.5, 0.9))))
param_scheduler = [
    dict(
        type='CosineAnnealingLR',
        by_epoch=False,
        T_max=1500,
        eta_min_ratio=0.05)
]
