"""FCN head on the latent, on the built-in data set."""
_base_ = [
    '../_base_/mmseg_runtime.py',
    '../_base_/task_models/fcn_r18_small.py',
    '../_base_/datasets/sample_semantic.py',
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
        type='mmhmc.CompressedDomainNeck',
        in_channels=64,
        out_channels=256,
        strides=(8, )),
    decode_head=dict(in_index=0))
val_evaluator = _base_.val_evaluator + _base_.coding_metrics
test_evaluator = val_evaluator
default_hooks = dict(checkpoint=dict(interval=4))
randomness = dict(seed=0)
