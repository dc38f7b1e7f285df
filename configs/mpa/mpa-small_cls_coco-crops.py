"""Small MPA, stage 2: the path of classification, on objects of COCO.

Images are compared by the features of YOLOX-nano's backbone, which is the
host's own: small data sets are soon known by heart.
"""
_base_ = [
    'mmpretrain::_base_/default_runtime.py',
    '../_base_/task_models/classifier_csp-nano.py',
    '../_base_/datasets/coco_crops.py',
    '../_base_/codecs/mpa_small.py',
    '../_base_/losses/csp-nano.py',
    '../_base_/schedules/mpa_stage2.py',
]
stages = [
    dict(
        name='host',
        config='classifier_csp-nano_coco-crops.py',
        result='load_from'),
    dict(
        name='people',
        config='mpa-small_stage1b_pictures.py',
        result='model.backbone.codec.init_cfg.checkpoint')
]
load_from = None
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmhmc.CodecBackbone',
        codec=dict(
            _base_.codec,
            trained_task='cls',
            init_cfg=dict(type='Pretrained', checkpoint=None,
                          prefix='codec.')),
        backbone=dict(_base_.model.backbone, init_cfg=None),
        input_norm=_base_.data_preprocessor,
        condition=dict(quality=8, task='cls', alpha=1.),
        train_condition=dict(
            quality=[1, 2, 3, 4, 5, 6, 7, 8],
            # Most often what it is tested at.
            alpha=[0.25, 0.5, 0.75, 1., 1., 1.])))
train_dataloader = dict(batch_size=4)
val_cfg = dict()
test_cfg = dict()
train_cfg = dict(max_iters=600, val_interval=600)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='mmhmc.Muon', lr=3e-3, adamw_lr=5e-4))
param_scheduler = [
    dict(
        type='CosineAnnealingLR',
        by_epoch=False,
        T_max=600,
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
