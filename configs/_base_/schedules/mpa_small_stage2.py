"""Second stage of the small MPA, on two CPU cores.

The perceptual loss compares features of YOLOX-nano's backbone, which is also
the hosts', because labels of small data sets are soon overfitted.
"""
_base_ = ['./mpa_stage2.py', '../losses/csp-nano.py']
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
objective = dict(
    lmbda_task=0.1,
    lmbda_distortion=0.003,
    perceptual=dict(_delete_=True, unit=False, **_base_.perceptual),
    lmbda_perceptual=10.)
coding_metrics = [
    dict(type='mmhmc.BitrateMetric'),
    dict(type='mmhmc.PSNRMetric')
]
