"""ResNet-18 that learns the built-in data set from scratch."""
_base_ = ['mmpretrain::_base_/models/resnet18.py']

model = dict(
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True,
        num_classes=5),
    backbone=dict(base_channels=32, stem_channels=32),
    head=dict(num_classes=5, in_channels=256, topk=(1, )))
