"""CamVid: street scenes of 480x360, 123 to train and 51 to validate.

`data/camvid` holds `train/`, `val/` and the class of each pixel in
`train_labels/` and `val_labels/`: 0 to 10, and 11 where there is none.
"""
_data_root = 'data/camvid'
_metainfo = dict(
    classes=('sky', 'building', 'pole', 'road', 'sidewalk', 'tree', 'sign',
             'fence', 'car', 'pedestrian', 'bicyclist'),
    palette=[(128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128),
             (0, 0, 192), (128, 128, 0), (192, 128, 128), (64, 64, 128),
             (64, 0, 128), (64, 64, 0), (0, 128, 192)])
_load = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
# The hosts' own inference looks for it under this name.
test_pipeline = [*_load, dict(type='PackSegInputs')]
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='BaseSegDataset',
        data_root=_data_root,
        data_prefix=dict(img_path='train', seg_map_path='train_labels'),
        img_suffix='.webp',
        metainfo=_metainfo,
        pipeline=[
            *_load,
            dict(
                type='RandomResize',
                scale=(480, 360),
                ratio_range=(0.75, 1.5),
                keep_ratio=True),
            dict(
                type='RandomCrop',
                crop_size=(192, 192),
                cat_max_ratio=0.75,
                ignore_index=11),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PackSegInputs')
        ]))
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='BaseSegDataset',
        data_root=_data_root,
        data_prefix=dict(img_path='val', seg_map_path='val_labels'),
        img_suffix='.webp',
        metainfo=_metainfo,
        test_mode=True,
        pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = [dict(type='IoUMetric', iou_metrics=['mIoU'], ignore_index=11)]
test_evaluator = val_evaluator
