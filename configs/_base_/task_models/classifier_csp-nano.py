"""A linear classifier on the frozen backbone of a COCO-trained YOLOX-nano.

Input: BGR, 0 to 255.
"""
data_preprocessor = dict(
    type='ClsDataPreprocessor',
    mean=[0., 0., 0.],
    std=[1., 1., 1.],
    to_rgb=False,
    num_classes=12)
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='mmdet.CSPDarknet',
        deepen_factor=0.33,
        widen_factor=0.25,
        use_depthwise=True,
        out_indices=(4, ),
        frozen_stages=4,
        norm_eval=True,
        norm_cfg=dict(type='BN', momentum=0.03, eps=0.001),
        act_cfg=dict(type='Swish'),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='data/weights/yolox_nano_mmdet.pth',
            prefix='backbone.')),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=12,
        in_channels=256,
        loss=dict(type='CrossEntropyLoss', loss_weight=1.)))
