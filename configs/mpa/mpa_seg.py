"""MPA, stage 2: the path of segmentation, before PSPNet-50 on ADE20K.

The trained host: `--cfg-options load_from=FILE`. As the authors': scales of
0.5 to 2, flips, crops of 256 padded with the mean, batches of 8, 200 epochs,
both of the host's losses. Scales are of images with a short side of 512, as
mmseg has them, theirs of the images' own sizes; tests see whole images, as
in mmseg's figures, theirs a centre crop of 512.
"""
_base_ = [
    '../_base_/mmseg_runtime_by_iter.py',
    'mmseg::_base_/models/pspnet_r50-d8.py',
    'mmseg::_base_/datasets/ade20k.py',
    '../_base_/trained_codecs/mpa.py',
    '../_base_/schedules/mpa_stage2.py',
]
model = dict(
    data_preprocessor=dict(size=(256, 256)),
    pretrained=None,
    decode_head=dict(num_classes=150),
    auxiliary_head=dict(num_classes=150),
    backbone=dict(
        _delete_=True,
        type='mmhmc.CodecBackbone',
        codec=dict(_base_.codec, trained_task='seg'),
        backbone=_base_.model.backbone,
        input_norm=_base_.model.data_preprocessor,
        condition=dict(quality=8, task='seg', alpha=1.),
        train_condition=_base_.train_condition))
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
val_evaluator = [_base_.val_evaluator, *_base_.coding_metrics]
test_evaluator = val_evaluator
default_hooks = dict(checkpoint=dict(interval=5000, max_keep_ckpts=-1))
