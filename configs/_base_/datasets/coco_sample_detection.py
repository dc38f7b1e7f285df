"""A part of COCO in `data/coco_sample`, as YOLOX-nano sees it: 416x416.

The folder holds `images/`, `instances_train.json`, `instances_val.json`.
"""
_data_root = 'data/coco_sample'
data_help = ('Link a part of COCO to data/coco_sample: images/, '
             'instances_train.json, instances_val.json.')
_grey = dict(img=(114., 114., 114.))
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='CocoDataset',
        data_root=_data_root,
        ann_file='instances_train.json',
        data_prefix=dict(img='images/'),
        filter_cfg=dict(filter_empty_gt=True, min_size=16),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(
                type='RandomResize',
                scale=(416, 416),
                ratio_range=(0.8, 1.5),
                keep_ratio=True),
            dict(type='RandomCrop', crop_size=(320, 320)),
            dict(type='RandomFlip', prob=0.5),
            dict(type='Pad', size=(320, 320), pad_val=_grey),
            dict(type='PackDetInputs')
        ]))
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='CocoDataset',
        data_root=_data_root,
        ann_file='instances_val.json',
        data_prefix=dict(img='images/'),
        test_mode=True,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=(416, 416), keep_ratio=True),
            dict(type='Pad', pad_to_square=True, pad_val=_grey),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(
                type='PackDetInputs',
                meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape',
                           'scale_factor'))
        ]))
test_dataloader = val_dataloader
val_evaluator = [
    dict(
        type='CocoMetric',
        ann_file=f'{_data_root}/instances_val.json',
        metric=['bbox'])
]
test_evaluator = val_evaluator
