"""Linear classifier on the latent, on the built-in data set."""
_base_ = [
    '../_base_/sample/classes.py',
    '../_base_/trained_codecs/mean-scale-hyperprior_sample.py',
    '../_base_/schedules/latent_heads.py',
]
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmhmc.LatentBackbone',
        codec=_base_.codec,
        input_norm=_base_.model.data_preprocessor),
    neck=dict(
        _base_.latent_neck, _delete_=True, out_channels=256, strides=None))
val_evaluator = _base_.val_evaluator + _base_.coding_metrics
test_evaluator = val_evaluator
default_hooks = dict(checkpoint=dict(interval=4))
