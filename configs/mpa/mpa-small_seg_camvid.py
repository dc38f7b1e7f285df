"""Small MPA, stage 2: the path of segmentation, before PSPNet on CamVid.

It learns without labels, from features of the host's own backbone: with the
labels of 123 images it overfitted, and mIoU on other images fell.
"""
_base_ = [
    '../_base_/mmseg_runtime_by_iter.py',
    '../_base_/task_models/pspnet_csp-nano.py',
    '../_base_/datasets/camvid_semantic.py',
    '../_base_/trained_codecs/mpa_small.py',
    '../_base_/schedules/mpa_small_stage2.py',
]
stages = [
    dict(name='host', config='pspnet_csp-nano_camvid.py', result='load_from'),
    *_base_.stages
]
load_from = None
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmhmc.CodecBackbone',
        codec=dict(_base_.codec, trained_task='seg'),
        backbone=dict(_base_.model.backbone, init_cfg=None),
        input_norm=_base_.model.data_preprocessor,
        condition=dict(quality=8, task='seg', alpha=1.),
        train_condition=_base_.train_condition))
train_dataloader = dict(batch_size=2)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
objective = dict(lmbda_task=0.)
val_evaluator = _base_.val_evaluator + _base_.coding_metrics
test_evaluator = val_evaluator
default_hooks = dict(checkpoint=dict(interval=100))
randomness = dict(seed=0)
