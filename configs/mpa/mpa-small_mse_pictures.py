"""Small MPA, stage 2: the path of the mean squared error."""
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/codecs/mpa_small.py',
    '../_base_/datasets/picture_crops.py',
    '../_base_/schedules/mpa_stage2.py',
]
stages = [
    dict(
        name='people',
        config='mpa-small_stage1b_pictures.py',
        result='model.codec.init_cfg.checkpoint')
]
model = dict(
    type='mmhmc.CodecModel',
    codec=dict(
        _base_.codec,
        trained_task='mse',
        init_cfg=dict(type='Pretrained', checkpoint=None, prefix='codec.')),
    condition=dict(quality=8, task='mse', alpha=1.),
    train_condition=dict(
        quality=[1, 2, 3, 4, 5, 6, 7, 8],
        # Most often what it is tested at.
        alpha=[0.25, 0.5, 0.75, 1., 1., 1.]))
train_dataloader = dict(
    batch_size=4,
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
train_cfg = dict(max_iters=800)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='mmhmc.Muon', lr=3e-3, adamw_lr=5e-4))
param_scheduler = [
    dict(
        type='CosineAnnealingLR',
        by_epoch=False,
        T_max=800,
        eta_min_ratio=0.05)
]
# The mean squared error alone.
custom_hooks = [
    dict(type='mmhmc.RateLossHook', lmbda_rate=0., lmbda_distortion=0.01),
    *_base_.custom_hooks[1:]
]
default_hooks = dict(checkpoint=dict(interval=100, max_keep_ckpts=2))
randomness = dict(seed=0)
