"""`adamw_cosine.py` with Muon, for 20 epochs on a few hundred faces."""
_base_ = ['./adamw_cosine.py']
train_cfg = dict(max_epochs=20, val_interval=10)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='mmhmc.Muon', lr=2e-2, adamw_lr=1e-3))
param_scheduler = [
    _base_.param_scheduler[0],
    dict(_base_.param_scheduler[1], T_max=20, end=20)
]
