"""Dynamic adaptation on the built-in data set: `make train`.

A small Mask R-CNN and a small codec for people come trained from the model
zoo; this config trains codec and adaptation for it, stages B and C.
`make train STAGES=all` trains all stages from scratch. Expected: see README.
"""
_base_ = [
    '../_base_/sample/instances.py',
    '../_base_/codecs/mean-scale-hyperprior_small.py',
    '../_base_/trained_codecs/pretrained.py',
    '../_base_/adapters/dynamic-adaptation.py',
    '../_base_/schedules/joint_adapt_small.py',
]
load_from = 'mmhmc://mask-rcnn_r18_sample'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmhmc.CodecBackbone',
        codec=dict(
            _base_.codec,
            init_cfg=dict(
                _base_.pretrained,
                checkpoint='mmhmc://mean-scale-hyperprior_pictures_0.0035')),
        adapter=dict(_base_.adapter, width=16),
        backbone=_base_.model.backbone,
        input_norm=_base_.model.data_preprocessor))
train_dataloader = dict(batch_size=4)
train_cfg = dict(max_epochs=2, val_interval=2)
param_scheduler = [dict(_base_.param_scheduler[0], T_max=2)]
objective = dict(lmbda_distortion=0.0035)
training_stages = dict(adapter=dict(begin=1))
val_evaluator = _base_.val_evaluator + _base_.coding_metrics
test_evaluator = val_evaluator
