"""Small MPA, stage 1, second half: against a discriminator per quality.

LPIPS's place is taken by the first two stages, which see edges and textures,
of the backbone of `data/weights/yolox_nano_mmdet.pth`, at four times the
published weight: of so few steps the discriminators learn next to nothing.
"""
_base_ = ['./mpa-small_stage1a_pictures.py', '../_base_/losses/csp-nano.py']
stages = [
    dict(
        name='1a', config='mpa-small_stage1a_pictures.py', result='load_from')
]
model = dict(
    perceptual=dict(
        _delete_=True,
        **dict(
            _base_.perceptual,
            backbone=dict(_base_.perceptual.backbone, out_indices=(0, 1)))),
    lmbda_perceptual=17.,
    discriminator=dict(
        _delete_=True,
        type='mmhmc.PatchDiscriminator',
        hidden_channels=(16, 32, 64, 64)))
train_cfg = dict(max_iters=1500)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='mmhmc.Muon', lr=2e-3, adamw_lr=3e-4),
    discriminator=dict(
        optimizer=dict(type='Adam', lr=1e-3, betas=(0.5, 0.9))))
param_scheduler = [
    dict(
        type='CosineAnnealingLR',
        by_epoch=False,
        T_max=1500,
        eta_min_ratio=0.05)
]
