"""Parsing, what is worn and points of a face by one trunk, on images."""
model = dict(
    type='mmhmc.MultiTaskModel',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size=(256, 256)),
    backbone=dict(type='mmhmc.ImageStem', widths=(64, 128, 128, 112)),
    trunk=dict(
        type='mmhmc.CompressedDomainNeck',
        in_channels=112,
        out_channels=128,
        strides=(4, 16),
        num_blocks=8),
    tasks=dict(
        parsing=dict(
            _scope_='mmseg',
            type='EncoderDecoder',
            decode_head=dict(
                type='FCNHead',
                in_channels=128,
                in_index=0,
                channels=64,
                num_convs=1,
                concat_input=False,
                dropout_ratio=0.1,
                num_classes=19,
                norm_cfg=dict(type='BN', requires_grad=True),
                align_corners=False,
                loss_decode=[
                    dict(type='CrossEntropyLoss', loss_name='loss_ce'),
                    dict(type='DiceLoss', loss_name='loss_dice')
                ]),
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
