"""Second stage of the small MPA, on two CPU cores.

The perceptual loss compares features of YOLOX-nano's backbone, which is also
the hosts', because labels of small data sets are soon overfitted.
"""
_base_ = ['./mpa_small_steps.py', '../losses/csp-nano.py']
objective = dict(
    lmbda_task=0.1,
    lmbda_distortion=0.003,
    perceptual=dict(_delete_=True, unit=False, **_base_.perceptual),
    lmbda_perceptual=10.)
coding_metrics = [
    dict(type='mmhmc.BitrateMetric'),
    dict(type='mmhmc.PSNRMetric')
]
