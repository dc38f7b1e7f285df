"""Stage 2 of MPA in 600 steps with Muon, on two CPU cores."""
_base_ = ['./mpa_stage2.py']
train_cfg = dict(max_iters=600, val_interval=600)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='mmhmc.Muon', lr=3e-3, adamw_lr=5e-4))
param_scheduler = [
    dict(
        type='CosineAnnealingLR',
        by_epoch=False,
        T_max=600,
        eta_min_ratio=0.05)
]
