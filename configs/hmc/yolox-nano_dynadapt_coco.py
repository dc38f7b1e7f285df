"""Dynamic adaptation before a frozen YOLOX-nano, on a part of COCO.

Needs `data/coco_sample`. The codec for people comes first, unless it is given:
`--cfg-options model.backbone.codec.init_cfg.checkpoint=FILE`. The last
iterations train the adaptation alone. Besides the detector's losses, a
perceptual loss compares features of its backbone: the labels alone, of few
images, would be overfitted.
"""
_base_ = [
    'mmdet::_base_/default_runtime.py',
    '../_base_/task_models/yolox_nano.py',
    '../_base_/datasets/coco_sample_detection.py',
    '../_base_/codecs/mean-scale-hyperprior_small.py',
    '../_base_/trained_codecs/pretrained.py',
    '../_base_/adapters/dynamic-adaptation.py',
    '../_base_/schedules/joint_adapt_muon.py',
]
stages = [
    dict(
        name='codec',
        config='../mean_scale_hyperprior/mean-scale-hyperprior_pictures.py',
        result='model.backbone.codec.init_cfg.checkpoint')
]
load_from = 'mmhmc://yolox-nano_coco'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmhmc.CodecBackbone',
        codec=dict(_base_.codec, init_cfg=_base_.pretrained),
        adapter=dict(_base_.adapter, width=32),
        backbone=_base_.model.backbone,
        input_norm=_base_.model.data_preprocessor))
train_dataloader = dict(batch_size=2, sampler=dict(type='InfiniteSampler'))
train_cfg = dict(
    _delete_=True, type='IterBasedTrainLoop', max_iters=400, val_interval=400)
param_scheduler = [
    dict(
        type='CosineAnnealingLR',
        by_epoch=False,
        T_max=400,
        eta_min_ratio=0.05)
]
objective = dict(lmbda_distortion=0.0018)
training_stages = dict(by_epoch=False, adapter=dict(begin=320))
val_evaluator = _base_.val_evaluator + _base_.coding_metrics
test_evaluator = val_evaluator
default_hooks = dict(
    logger=dict(interval=25),
    checkpoint=dict(by_epoch=False, interval=200, max_keep_ckpts=1))
log_processor = dict(by_epoch=False)
randomness = dict(seed=0)
