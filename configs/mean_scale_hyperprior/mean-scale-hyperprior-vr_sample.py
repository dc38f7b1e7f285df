"""The small codec of the built-in data set with eight rates."""
_base_ = ['./mean-scale-hyperprior_sample.py', '../_base_/rates/eight.py']
model = dict(
    codec=_base_.rates.codec,
    condition=dict(quality=8),
    train_condition=_base_.rates.train_condition)
objective = dict(lmbda_distortion=_base_.rates.lmbda_distortion)
