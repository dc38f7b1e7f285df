"""`layered_parsing_rgb.py` with the trunk of the other small configs."""
_base_ = ['layered_parsing_rgb.py']
model = dict(
    backbone=dict(widths=(32, 48, 64, 64)),
    neck=dict(in_channels=64, out_channels=64, num_blocks=4),
    decode_head=dict(in_channels=64))
train_cfg = dict(max_epochs=20, val_interval=10)
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='mmhmc.Muon', lr=2e-2, adamw_lr=1e-3),
    clip_grad=dict(max_norm=10))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(
        type='CosineAnnealingLR',
        T_max=20,
        begin=0,
        end=20,
        by_epoch=True,
        convert_to_iter_based=True)
]
