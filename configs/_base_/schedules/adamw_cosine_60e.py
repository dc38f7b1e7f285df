"""`adamw_cosine.py` for 60 epochs on faces."""
_base_ = ['./adamw_cosine.py']
train_cfg = dict(max_epochs=60, val_interval=20)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    _base_.param_scheduler[0],
    dict(_base_.param_scheduler[1], T_max=60, end=60)
]
