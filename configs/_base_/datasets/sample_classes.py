"""Class of the largest object of each built-in image; the tools make it."""
sample_data_root = 'data/mmhmc_sample'
sample_labels_root = 'data/mmhmc_sample_labels'

metainfo = dict(
    classes=('brick_square', 'page_triangle', 'grass_disc', 'gravel_disc',
             'coin_cross'))
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackInputs')
]
test_pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='CustomDataset',
        ann_file=f'{sample_labels_root}/train.txt',
        data_prefix=f'{sample_data_root}/train',
        metainfo=metainfo,
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='CustomDataset',
        ann_file=f'{sample_labels_root}/val.txt',
        data_prefix=f'{sample_data_root}/val',
        metainfo=metainfo,
        pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = [dict(type='Accuracy', topk=(1, ))]
test_evaluator = val_evaluator
