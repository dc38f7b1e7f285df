"""Objects of COCO by super-category, 128x128, for mmpretrain.

`tools/dataset_converters/coco_crops.py` makes `data/coco_crops`.
"""
_data_root = 'data/coco_crops'
_classes = [
    'accessory', 'animal', 'appliance', 'electronic', 'food', 'furniture',
    'indoor', 'kitchen', 'outdoor', 'person', 'sports', 'vehicle'
]
train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='CustomDataset',
        data_root=_data_root,
        data_prefix='train',
        classes=_classes,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='RandomFlip', prob=0.5, direction='horizontal'),
            dict(type='PackInputs')
        ]))
val_dataloader = dict(
    batch_size=8,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='CustomDataset',
        data_root=_data_root,
        data_prefix='val',
        classes=_classes,
        test_mode=True,
        pipeline=[dict(type='LoadImageFromFile'),
                  dict(type='PackInputs')]))
test_dataloader = val_dataloader
val_evaluator = [dict(type='Accuracy', topk=(1, ))]
test_evaluator = val_evaluator
