"""Mask R-CNN that learns small data sets from scratch on two CPU cores.

Batch normalisation in neck and heads: without it nothing is learnt in the
few minutes there are.
"""
_base_ = ['mmdet::_base_/models/mask-rcnn_r50_fpn.py']

_norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    backbone=dict(
        depth=18,
        base_channels=32,
        stem_channels=32,
        frozen_stages=-1,
        norm_eval=False,
        init_cfg=None),
    # Strides 8 to 64: the finest level costs most and holds no object here.
    neck=dict(
        in_channels=[32, 64, 128, 256],
        out_channels=64,
        start_level=1,
        num_outs=4,
        norm_cfg=_norm_cfg),
    rpn_head=dict(
        in_channels=64,
        feat_channels=64,
        anchor_generator=dict(scales=[4], strides=[8, 16, 32, 64])),
    roi_head=dict(
        bbox_roi_extractor=dict(
            roi_layer=dict(sampling_ratio=1),
            featmap_strides=[8, 16, 32],
            out_channels=64),
        bbox_head=dict(
            type='Shared4Conv1FCBBoxHead',
            in_channels=64,
            conv_out_channels=64,
            fc_out_channels=256,
            num_classes=5,
            norm_cfg=_norm_cfg),
        mask_roi_extractor=dict(
            roi_layer=dict(sampling_ratio=1),
            featmap_strides=[8, 16, 32],
            out_channels=64),
        mask_head=dict(
            num_convs=2,
            in_channels=64,
            conv_out_channels=64,
            num_classes=5,
            norm_cfg=_norm_cfg)),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=300, max_per_img=100),
        rcnn=dict(sampler=dict(num=64))),
    test_cfg=dict(rpn=dict(nms_pre=300, max_per_img=100)))
