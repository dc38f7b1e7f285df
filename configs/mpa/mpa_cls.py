"""MPA, stage 2: the path of classification, before ConvNeXt-T on ImageNet.

The trained host: `--cfg-options load_from=FILE`. As the authors': crops of 256
and flips, batches of 8, four epochs, label smoothing, and none of the Mixup,
CutMix, RandAugment and erasing that ConvNeXt itself was trained with; tests
resize to 292 and crop 256. Crops are resized bicubically; theirs draw bicubic
or bilinear. They stop at the best accuracy, which this leaves to
`default_hooks.checkpoint.save_best`.
"""
_base_ = [
    'mmpretrain::_base_/default_runtime.py',
    'mmpretrain::_base_/models/convnext/convnext-tiny.py',
    'mmpretrain::_base_/datasets/imagenet_bs64_swin_224.py',
    '../_base_/trained_codecs/mpa.py',
    '../_base_/schedules/mpa_stage2.py',
]
model = dict(
    train_cfg=None,
    backbone=dict(
        _delete_=True,
        type='mmhmc.CodecBackbone',
        codec=dict(_base_.codec, trained_task='cls'),
        backbone=_base_.model.backbone,
        input_norm=_base_.data_preprocessor,
        condition=dict(quality=8, task='cls', alpha=1.),
        train_condition=_base_.train_condition))
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='RandomResizedCrop',
        scale=256,
        backend='pillow',
        interpolation='bicubic'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='ResizeEdge',
        scale=292,
        edge='short',
        backend='pillow',
        interpolation='bicubic'),
    dict(type='CenterCrop', crop_size=256),
    dict(type='PackInputs'),
]
train_dataloader = dict(batch_size=8, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
train_cfg = dict(max_iters=640000, val_interval=160000)
param_scheduler = [
    dict(type='MultiStepLR', by_epoch=False, milestones=[480000], gamma=0.1)
]
val_cfg = dict()
test_cfg = dict()
val_evaluator = [_base_.val_evaluator, *_base_.coding_metrics]
test_evaluator = val_evaluator
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=5000))
