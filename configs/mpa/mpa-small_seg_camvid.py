"""Small MPA, stage 2: the path of segmentation, before PSPNet on CamVid.

It learns without labels, from the features of the host's own backbone: those
of 123 images were learnt by heart, and mIoU on others fell.
"""
_base_ = [
    'mmseg::_base_/default_runtime.py',
    '../_base_/task_models/pspnet_csp-nano.py',
    '../_base_/datasets/camvid_semantic.py',
    '../_base_/codecs/mpa_small.py',
    '../_base_/losses/csp-nano.py',
    '../_base_/schedules/mpa_stage2.py',
]
stages = [
    dict(name='host', config='pspnet_csp-nano_camvid.py', result='load_from'),
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
            trained_task='seg',
            init_cfg=dict(type='Pretrained', checkpoint=None,
                          prefix='codec.')),
        backbone=dict(_base_.model.backbone, init_cfg=None),
        input_norm=_base_.model.data_preprocessor,
        condition=dict(quality=8, task='seg', alpha=1.),
        train_condition=dict(
            quality=[1, 2, 3, 4, 5, 6, 7, 8],
            # Most often what it is tested at.
            alpha=[0.25, 0.5, 0.75, 1., 1., 1.])))
train_dataloader = dict(batch_size=2)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
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
        lmbda_task=0.,
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
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='CheckpointHook', by_epoch=False, interval=100, max_keep_ckpts=2),
    sampler_seed=dict(type='DistSamplerSeedHook'))
randomness = dict(seed=0)
