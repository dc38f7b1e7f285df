"""Stage 3, separate: neck and heads learn on the latents of a frozen codec."""
_base_ = ['./adamw_cosine_60e.py', '../hooks/layered_separate.py']
optim_wrapper = dict(
    constructor='mmhmc.CodecOptimWrapperConstructor',
    paramwise_cfg=dict(codec=dict(lr=1e-5)))
