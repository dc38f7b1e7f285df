"""The small codec for people with eight rates in one set of weights.

Every image of a batch draws a rate. A rate to test: `--cfg-options
model.condition.quality=3`, from 1 to 8 and between. Weights of one rate are a
good beginning: `--cfg-options load_from=FILE`.
"""
_base_ = ['./mean-scale-hyperprior_pictures.py', '../_base_/rates/eight.py']
model = dict(
    codec=_base_.rates.codec,
    condition=dict(quality=8),
    train_condition=_base_.rates.train_condition)
objective = dict(lmbda_distortion=_base_.rates.lmbda_distortion)
