"""Some images of ImageNet in `data/imagenet_sample`, for mmpretrain.

A line of `labels.txt` is an image's path and the number of its class, 0 to
999.
"""
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='ResizeEdge', scale=256, edge='short'),
    dict(type='CenterCrop', crop_size=224),
    dict(type='PackInputs')
]
test_dataloader = dict(
    batch_size=10,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ImageNet',
        data_root='data/imagenet_sample',
        ann_file='labels.txt',
        pipeline=test_pipeline))
test_evaluator = [dict(type='Accuracy', topk=(1, 5))]
