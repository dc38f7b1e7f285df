"""Small MPA, stage 2: the path of detection, before YOLOX-nano on COCO.

The detector: `data/weights/yolox_nano_mmdet.pth`. Images are also compared
by the features of its backbone: small data sets are soon known by heart.
"""
_base_ = [
    'mmdet::_base_/default_runtime.py',
    '../_base_/task_models/yolox_nano.py',
    '../_base_/datasets/coco_sample_detection.py',
    '../_base_/codecs/mpa_small.py',
    '../_base_/losses/csp-nano.py',
    '../_base_/schedules/mpa_stage2.py',
]
stages = [
    dict(
        name='people',
        config='mpa-small_stage1b_pictures.py',
        result='model.backbone.codec.init_cfg.checkpoint')
]
load_from = 'data/weights/yolox_nano_mmdet.pth'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmhmc.CodecBackbone',
        codec=dict(
            _base_.codec,
            trained_task='det',
            init_cfg=dict(type='Pretrained', checkpoint=None,
                          prefix='codec.')),
        backbone=_base_.model.backbone,
        input_norm=_base_.model.data_preprocessor,
        condition=dict(quality=8, task='det', alpha=1.),
        train_condition=dict(
            quality=[1, 2, 3, 4, 5, 6, 7, 8],
            # Most often what it is tested at.
            alpha=[0.25, 0.5, 0.75, 1., 1., 1.])))
train_dataloader = dict(batch_size=2, sampler=dict(type='InfiniteSampler'))
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
train_cfg = dict(max_iters=400, val_interval=400)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='mmhmc.Muon', lr=3e-3, adamw_lr=5e-4))
param_scheduler = [
    dict(
        type='CosineAnnealingLR',
        by_epoch=False,
        T_max=400,
        eta_min_ratio=0.05)
]
custom_hooks = [
    dict(
        _base_.custom_hooks[0],
        lmbda_task=0.1,
        lmbda_distortion=0.003,
        perceptual=dict(_base_.perceptual, unit=False),
        lmbda_perceptual=10.), *_base_.custom_hooks[1:]
]
val_evaluator = _base_.val_evaluator + [
    dict(type='mmhmc.BitrateMetric'),
    dict(type='mmhmc.PSNRMetric')
]
test_evaluator = val_evaluator
default_hooks = dict(
    logger=dict(interval=50),
    checkpoint=dict(by_epoch=False, interval=100, max_keep_ckpts=2))
log_processor = dict(by_epoch=False)
randomness = dict(seed=0)
