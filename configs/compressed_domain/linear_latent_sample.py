"""Linear classifier on the latent, on the built-in data set."""
_base_ = [
    'mmpretrain::_base_/default_runtime.py',
    '../_base_/task_models/resnet18_small.py',
    '../_base_/datasets/sample_classes.py',
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
        _delete_=True,
        type='mmhmc.CompressedDomainNeck',
        in_channels=64,
        out_channels=256,
        strides=None))
val_evaluator = _base_.val_evaluator + _base_.coding_metrics
test_evaluator = val_evaluator
default_hooks = dict(
    logger=dict(interval=20), checkpoint=dict(interval=4, max_keep_ckpts=2))
randomness = dict(seed=0)
