"""Small MPA, stage 2: the path of detection, before YOLOX-nano on COCO.

The detector is `yolox-nano_coco` of the zoo. The perceptual loss compares
features of its backbone.
"""
_base_ = [
    'mmdet::_base_/default_runtime.py',
    '../_base_/task_models/yolox_nano.py',
    '../_base_/datasets/coco_sample_detection.py',
    '../_base_/trained_codecs/mpa_small.py',
    '../_base_/schedules/mpa_small_stage2.py',
]
load_from = 'mmhmc://yolox-nano_coco'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmhmc.CodecBackbone',
        codec=dict(_base_.codec, trained_task='det'),
        backbone=_base_.model.backbone,
        input_norm=_base_.model.data_preprocessor,
        condition=dict(quality=8, task='det', alpha=1.),
        train_condition=_base_.train_condition))
train_dataloader = dict(batch_size=2, sampler=dict(type='InfiniteSampler'))
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
train_cfg = dict(max_iters=400, val_interval=400)
param_scheduler = [dict(_base_.param_scheduler[0], T_max=400)]
val_evaluator = _base_.val_evaluator + _base_.coding_metrics
test_evaluator = val_evaluator
default_hooks = dict(
    logger=dict(interval=50),
    checkpoint=dict(by_epoch=False, interval=100, max_keep_ckpts=2))
log_processor = dict(by_epoch=False)
randomness = dict(seed=0)
