"""Penn-Fudan pedestrians: 100 train and 30 val photographs, one class.

`data/pennfudan` holds `images/`, `instances_train.json` and
`instances_val.json`.
"""
_data_root = 'data/pennfudan'
data_help = ('Link a COCO-format copy of Penn-Fudan to data/pennfudan: '
             'images/, instances_train.json, instances_val.json.')
_metainfo = dict(classes=('person', ), palette=[(220, 60, 50)])
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=True),
    batch_sampler=dict(type='AspectRatioBatchSampler'),
    dataset=dict(
        type='CocoDataset',
        data_root=_data_root,
        ann_file='instances_train.json',
        data_prefix=dict(img='images/'),
        metainfo=_metainfo,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
            dict(
                type='RandomResize',
                scale=(480, 400),
                ratio_range=(0.7, 1.3),
                keep_ratio=True),
            dict(type='RandomCrop', crop_size=(384, 384)),
            dict(type='RandomFlip', prob=0.5),
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
        metainfo=_metainfo,
        test_mode=True,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=(480, 400), keep_ratio=True),
            dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
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
        metric=['bbox', 'segm'])
]
test_evaluator = val_evaluator
