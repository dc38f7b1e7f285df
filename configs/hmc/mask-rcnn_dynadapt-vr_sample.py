"""Dynamic adaptation with one model for eight rates, on the built-in data set.

Codec and adaptation are told the rate, and every image of a batch draws one.
The codec begins as one of a single rate. The whole curve: `mmhmc test
mask-rcnn_dynadapt-vr_sample --qualities 1,2,4,8`.
"""
_base_ = ['./mask-rcnn_dynadapt_sample.py', '../_base_/rates/eight.py']
model = dict(
    backbone=dict(
        codec=_base_.rates.codec,
        adapter=dict(num_qualities=_base_.rates.codec.num_qualities),
        condition=dict(quality=8),
        train_condition=_base_.rates.train_condition))
objective = dict(lmbda_distortion=_base_.rates.lmbda_distortion)
