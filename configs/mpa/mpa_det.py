"""MPA, stage 2: the path of detection, before Mask R-CNN on COCO.

The paper has no such path; the objective is that of its others. The
trained host: `--cfg-options load_from=FILE`.
"""
_base_ = [
    'mmdet::_base_/default_runtime.py',
    'mmdet::_base_/datasets/coco_instance.py',
    '../_base_/task_models/mask-rcnn_r50_fpn.py',
    '../_base_/trained_codecs/mpa.py',
    '../_base_/schedules/mpa_stage2.py',
]
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmhmc.CodecBackbone',
        codec=dict(_base_.codec, trained_task='det'),
        backbone=_base_.model.backbone,
        input_norm=_base_.model.data_preprocessor,
        condition=dict(quality=8, task='det', alpha=1.),
        train_condition=_base_.train_condition))
train_cfg = dict(max_iters=100000, val_interval=100000)
param_scheduler = [
    dict(type='MultiStepLR', by_epoch=False, milestones=[75000], gamma=0.1)
]
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
val_evaluator = [_base_.val_evaluator, *_base_.coding_metrics]
test_evaluator = val_evaluator
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=5000))
