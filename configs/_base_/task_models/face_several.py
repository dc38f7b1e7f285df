"""Parsing, what is worn and points of a face by one trunk, on images."""
_base_ = ['./face_parsing.py']
model = dict(
    _delete_=True,
    type='mmhmc.MultiTaskModel',
    data_preprocessor=_base_.model.data_preprocessor,
    backbone=_base_.model.backbone,
    trunk=dict(_base_.model.neck, strides=(4, 16)),
    tasks=dict(
        parsing=dict(
            _scope_='mmseg',
            type='EncoderDecoder',
            decode_head=_base_.model.decode_head,
            train_cfg=dict(),
            test_cfg=dict(mode='whole')),
        parts=dict(
            _scope_='mmpretrain',
            type='ImageClassifier',
            neck=dict(type='GlobalAveragePooling'),
            head=dict(
                type='MultiLabelLinearClsHead',
                num_classes=4,
                in_channels=128,
                loss=dict(type='CrossEntropyLoss', use_sigmoid=True))),
        points=dict(
            _scope_='mmpretrain',
            type='ImageClassifier',
            neck=dict(type='GlobalAveragePooling'),
            head=dict(type='mmhmc.PointsHead', in_channels=128,
                      num_points=5))),
    targets=dict(parts='gt_parts', points='gt_points'),
    weights=dict(parsing=1., parts=0.5, points=5.))
