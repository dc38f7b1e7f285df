"""YOLOX-nano, frozen behind a codec. Input: BGR, 0 to 255.

The sizes are those of `mmdet::yolox/yolox_nano_8xb8-300e_coco.py`.
"""
_norm_cfg = dict(type='BN', momentum=0.03, eps=0.001)
_act_cfg = dict(type='Swish')


def _loss(**kwargs):
    return dict(reduction='sum', **kwargs)


model = dict(
    type='YOLOX',
    data_preprocessor=dict(type='DetDataPreprocessor', pad_size_divisor=32),
    backbone=dict(
        type='CSPDarknet',
        deepen_factor=0.33,
        widen_factor=0.25,
        out_indices=(2, 3, 4),
        use_depthwise=True,
        norm_cfg=_norm_cfg,
        act_cfg=_act_cfg),
    neck=dict(
        type='YOLOXPAFPN',
        in_channels=[64, 128, 256],
        out_channels=64,
        num_csp_blocks=1,
        use_depthwise=True,
        norm_cfg=_norm_cfg,
        act_cfg=_act_cfg),
    bbox_head=dict(
        type='YOLOXHead',
        num_classes=80,
        in_channels=64,
        feat_channels=64,
        use_depthwise=True,
        norm_cfg=_norm_cfg,
        act_cfg=_act_cfg,
        loss_cls=_loss(type='CrossEntropyLoss', use_sigmoid=True),
        loss_bbox=_loss(
            type='IoULoss', mode='square', eps=1e-16, loss_weight=5.),
        loss_obj=_loss(type='CrossEntropyLoss', use_sigmoid=True),
        loss_l1=_loss(type='L1Loss')),
    train_cfg=dict(assigner=dict(type='SimOTAAssigner', center_radius=2.5)),
    test_cfg=dict(score_thr=0.01, nms=dict(type='nms', iou_threshold=0.65)))
