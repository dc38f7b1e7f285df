"""Dynamic adaptation on real photographs, sized for two CPU cores.

Needs `data/pennfudan`; stages as in `mask-rcnn_dynadapt_sample.py`. Expected:
see README.
"""
_base_ = [
    'mmdet::_base_/default_runtime.py',
    '../_base_/task_models/mask-rcnn_csp-nano.py',
    '../_base_/datasets/pennfudan_instance.py',
    '../_base_/codecs/mean-scale-hyperprior_small.py',
    '../_base_/trained_codecs/pretrained.py',
    '../_base_/adapters/dynamic-adaptation.py',
    '../_base_/schedules/joint_adapt_small.py',
]
stages = [
    dict(
        name='detector',
        config='mask-rcnn_csp-nano_pennfudan.py',
        result='load_from'),
    dict(
        name='codec',
        config='../mean_scale_hyperprior/mean-scale-hyperprior_pennfudan.py',
        result='model.backbone.codec.init_cfg.checkpoint')
]
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmhmc.CodecBackbone',
        codec=dict(_base_.codec, init_cfg=_base_.pretrained),
        adapter=dict(_base_.adapter, width=32),
        backbone=dict(_base_.model.backbone, init_cfg=None),
        input_norm=_base_.model.data_preprocessor))
train_cfg = dict(max_epochs=8, val_interval=8)
param_scheduler = [dict(_base_.param_scheduler[0], T_max=8)]
training_stages = dict(adapter=dict(begin=5))
val_evaluator = _base_.val_evaluator + _base_.coding_metrics
test_evaluator = val_evaluator
default_hooks = dict(
    logger=dict(interval=25), checkpoint=dict(max_keep_ckpts=2))
randomness = dict(seed=0)
