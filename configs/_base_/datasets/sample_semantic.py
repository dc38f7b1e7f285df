"""Classes of pixels of the built-in data set; the tools make it."""
sample_data_root = 'data/mmhmc_sample'
sample_labels_root = 'data/mmhmc_sample_labels'

metainfo = dict(
    classes=('background', 'brick_square', 'page_triangle', 'grass_disc',
             'gravel_disc', 'coin_cross'),
    palette=[(0, 0, 0), (220, 60, 50), (250, 170, 30), (60, 160, 60),
             (60, 100, 220), (160, 60, 200)])
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs')
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs')
]
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='BaseSegDataset',
        data_prefix=dict(
            img_path=f'{sample_data_root}/train',
            seg_map_path=f'{sample_labels_root}/train'),
        img_suffix='.png',
        seg_map_suffix='.png',
        metainfo=metainfo,
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='BaseSegDataset',
        data_prefix=dict(
            img_path=f'{sample_data_root}/val',
            seg_map_path=f'{sample_labels_root}/val'),
        img_suffix='.png',
        seg_map_suffix='.png',
        metainfo=metainfo,
        pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = [dict(type='IoUMetric', iou_metrics=['mIoU'])]
test_evaluator = val_evaluator
