"""Small MPA, stage 2: the path of classification, on objects of COCO.

The perceptual loss compares features of YOLOX-nano's backbone, which is also
the host's.
"""
_base_ = [
    'mmpretrain::_base_/default_runtime.py',
    '../_base_/task_models/classifier_csp-nano.py',
    '../_base_/datasets/coco_crops.py',
    '../_base_/trained_codecs/mpa_small.py',
    '../_base_/schedules/mpa_small_stage2.py',
]
stages = [
    dict(
        name='host',
        config='classifier_csp-nano_coco-crops.py',
        result='load_from'), *_base_.stages
]
load_from = None
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmhmc.CodecBackbone',
        codec=dict(_base_.codec, trained_task='cls'),
        backbone=dict(_base_.model.backbone, init_cfg=None),
        input_norm=_base_.data_preprocessor,
        condition=dict(quality=8, task='cls', alpha=1.),
        train_condition=_base_.train_condition))
train_dataloader = dict(batch_size=4)
val_cfg = dict()
test_cfg = dict()
val_evaluator = _base_.val_evaluator + _base_.coding_metrics
test_evaluator = val_evaluator
default_hooks = dict(
    logger=dict(interval=50),
    checkpoint=dict(by_epoch=False, interval=100, max_keep_ckpts=2))
log_processor = dict(by_epoch=False)
randomness = dict(seed=0)
