"""Joint adaptation with Muon; x_bar shall look to CSP-nano as x does."""
_base_ = ['./joint_adapt_small.py', '../losses/csp-nano.py']
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='mmhmc.Muon', lr=2e-3, adamw_lr=5e-4),
    clip_grad=dict(max_norm=1.))
objective = dict(
    lmbda_task=0.03,
    perceptual=dict(_base_.perceptual, unit=False),
    lmbda_perceptual=0.5)
