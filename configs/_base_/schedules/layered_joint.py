"""Stage 3, joint: codec, neck and heads learn on one objective.

The codec learns at a hundredth of the heads' learning rate, the one at which
its own training ended.
"""
_base_ = ['./adamw_cosine_60e.py', '../hooks/layered_joint.py']
optim_wrapper = dict(
    constructor='mmhmc.CodecOptimWrapperConstructor',
    paramwise_cfg=dict(codec=dict(lr=1e-5)))
