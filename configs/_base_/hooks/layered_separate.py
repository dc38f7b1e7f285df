"""Only neck and heads learn, on the latents of a frozen layered codec."""
_base_ = ['./coding_in_stages.py']
# No distortion to train, so no image is decoded.
objective = dict(lmbda_distortion=0.)
training_stages = dict(heads=dict(begin=0, trainable=['host']))
coding_metrics = [
    dict(type='mmhmc.SavingMetric'),
    dict(type='mmhmc.BitrateMetric')
]
