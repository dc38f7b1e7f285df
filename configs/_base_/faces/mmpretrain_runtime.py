"""mmpretrain's runtime, for a few hundred faces."""
_base_ = ['mmpretrain::_base_/default_runtime.py']
default_hooks = dict(
    logger=dict(interval=20), checkpoint=dict(interval=20, max_keep_ckpts=2))
randomness = dict(seed=0)
