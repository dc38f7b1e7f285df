"""A linear classifier on the frozen backbone of a COCO-trained YOLOX-nano.

Input: BGR, 0 to 255.
"""
_base_ = ['../backbones/csp-nano.py']
data_preprocessor = dict(
    type='ClsDataPreprocessor',
    mean=[0., 0., 0.],
    std=[1., 1., 1.],
    to_rgb=False,
    num_classes=12)
model = dict(
    type='ImageClassifier',
    backbone=dict(_base_.csp_nano, out_indices=(4, )),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=12,
        in_channels=256,
        loss=dict(type='CrossEntropyLoss', loss_weight=1.)))
