"""The small intra codec of DCVC-UF goes on with larger crops.

After `dcvc-uf-small_pictures.py`: `--cfg-options load_from=FILE`. Two crops of
512 have as many pixels as eight of 256.
"""
_base_ = './dcvc-uf-small_pictures.py'
train_dataloader = dict(
    batch_size=2,
    dataset=dict(pipeline=[
        dict(type='LoadImageFromFile'),
        dict(type='mmhmc.RandomCropOrPad', crop_size=512),
        dict(type='RandomFlip', prob=0.5),
        dict(type='mmhmc.PackImageInputs')
    ]))
train_cfg = dict(max_iters=4000)
param_scheduler = [
    dict(type='LinearLR', by_epoch=False, start_factor=0.1, begin=0, end=100),
    dict(
        type='MultiStepLR',
        by_epoch=False,
        milestones=[1500, 2700, 3500],
        gamma=0.22)
]
