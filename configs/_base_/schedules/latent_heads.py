"""Neck and heads learn on the latent of a frozen codec.

So one bitstream serves people as before, and machines. All parts at once:
`--cfg-options training_stages.heads.trainable="[codec,host]"
objective.lmbda_distortion=0.0035`.
"""
_base_ = ['./adamw_cosine.py', '../hooks/coding_in_stages.py']
optim_wrapper = dict(
    constructor='mmhmc.CodecOptimWrapperConstructor',
    paramwise_cfg=dict(codec=dict(lr=1e-4)))
# No distortion to train, so no image is decoded.
objective = dict(lmbda_distortion=0.)
training_stages = dict(heads=dict(begin=0, trainable=['host']))
coding_metrics = [dict(type='mmhmc.BitrateMetric')]
