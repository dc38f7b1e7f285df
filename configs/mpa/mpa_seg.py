"""MPA, stage 2: the path of segmentation, before PSPNet-50 on ADE20K.

The trained host: `--cfg-options load_from=FILE`. As the authors': scales of
0.5 to 2, flips, crops of 256 padded with the mean, batches of 8, 200 epochs,
both of the host's losses. Scales are of images with a short side of 512, as
mmseg has them, theirs of the images' own sizes; tests see whole images, as
in mmseg's figures, theirs a centre crop of 512.
"""
_base_ = [
    'mmseg::_base_/default_runtime.py',
    'mmseg::_base_/models/pspnet_r50-d8.py',
    'mmseg::_base_/datasets/ade20k.py',
    '../_base_/codecs/mpa.py',
    '../_base_/schedules/mpa_stage2.py',
]
stages = [
    dict(
        name='people',
        config='mpa_stage1b.py',
        result='model.backbone.codec.init_cfg.checkpoint')
]
model = dict(
    data_preprocessor=dict(size=(256, 256)),
    pretrained=None,
    decode_head=dict(num_classes=150),
    auxiliary_head=dict(num_classes=150),
    backbone=dict(
        _delete_=True,
        type='mmhmc.CodecBackbone',
        codec=dict(
            _base_.codec,
            tasks=['mse', 'cls', 'seg', 'det'],
            trained_task='seg',
            init_cfg=dict(type='Pretrained', checkpoint=None,
                          prefix='codec.')),
        backbone=_base_.model.backbone,
        input_norm=_base_.model.data_preprocessor,
        condition=dict(quality=8, task='seg', alpha=1.),
        train_condition=dict(
            quality=[1, 2, 3, 4, 5, 6, 7, 8],
            alpha=[k / 7 for k in range(8)])))
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', reduce_zero_label=True),
    dict(
        type='RandomResize',
        scale=(2048, 512),
        ratio_range=(0.5, 2.0),
        keep_ratio=True),
    dict(type='RandomCrop', crop_size=(256, 256)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(batch_size=8, dataset=dict(pipeline=train_pipeline))
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
val_evaluator = [_base_.val_evaluator, dict(type='mmhmc.BitrateMetric')]
test_evaluator = val_evaluator
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=5000),
    sampler_seed=dict(type='DistSamplerSeedHook'))
