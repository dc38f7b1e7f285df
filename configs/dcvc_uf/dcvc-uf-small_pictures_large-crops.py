"""The small intra codec of DCVC-UF goes on with larger crops, and in layers.

After `dcvc-uf-small_pictures.py`: `--cfg-options load_from=FILE`. In a third
of the steps the context sees the base of `layers=[3]`.
"""
_base_ = './dcvc-uf-small_pictures.py'
train_dataloader = dict(
    batch_size=4,
    dataset=dict(pipeline=[
        dict(type='LoadImageFromFile'),
        dict(type='mmhmc.RandomCropOrPad', crop_size=256),
        dict(type='RandomFlip', prob=0.5),
        dict(type='mmhmc.PackImageInputs')
    ]))
train_cfg = dict(max_iters=8000)
param_scheduler = [
    dict(
        type='CosineAnnealingLR',
        by_epoch=False,
        begin=0,
        end=8000,
        eta_min_ratio=0.02)
]
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='mmhmc.LayerDrawHook', layers=[3], share=0.33)
]
