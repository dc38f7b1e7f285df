"""Layered codec, neck and heads learn on one objective.

Rate, distortion, perceptual distance and the task's losses. The discriminator
does not take part.
"""
_base_ = ['./coding.py']
objective = dict(
    lmbda_rate=4.,
    lmbda_distortion=0.001,
    perceptual=dict(type='mmhmc.LPIPSLoss'),
    lmbda_perceptual=1.,
    lmbda_task=1.)
coding_metrics = [
    dict(type='mmhmc.SavingMetric'),
    dict(type='mmhmc.BitrateMetric')
]
