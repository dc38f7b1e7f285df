"""`layered_joint.py` for the small layered codec."""
_base_ = [
    './muon_cosine_20e.py',
    '../hooks/layered_joint.py',
    '../losses/csp-nano.py',
]
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={'backbone.codec': dict(lr_mult=0.05)}))
objective = dict(perceptual=dict(_delete_=True, **_base_.perceptual))
