"""Mask R-CNN on the frozen backbone of a COCO-trained YOLOX-nano.

The statistics of its normalisation are folded into its convolutions, so it
must stay frozen. Input: BGR, 0 to 255.
"""
_base_ = [
    'mmdet::_base_/models/mask-rcnn_r50_fpn.py',
    '../backbones/csp-nano.py',
]

_norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    data_preprocessor=dict(mean=None, std=None, bgr_to_rgb=False),
    backbone=dict(_base_.csp_nano, _delete_=True),
    neck=dict(
        in_channels=[32, 64, 128, 256], out_channels=96, norm_cfg=_norm_cfg),
    rpn_head=dict(in_channels=96, feat_channels=96),
    roi_head=dict(
        bbox_roi_extractor=dict(
            roi_layer=dict(sampling_ratio=1), out_channels=96),
        bbox_head=dict(
            type='Shared4Conv1FCBBoxHead',
            in_channels=96,
            conv_out_channels=96,
            fc_out_channels=256,
            num_classes=1,
            norm_cfg=_norm_cfg),
        mask_roi_extractor=dict(
            roi_layer=dict(sampling_ratio=1), out_channels=96),
        mask_head=dict(
            num_convs=4,
            in_channels=96,
            conv_out_channels=96,
            num_classes=1,
            norm_cfg=_norm_cfg)),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=300, max_per_img=200),
        rcnn=dict(sampler=dict(num=64))),
    test_cfg=dict(rpn=dict(nms_pre=300, max_per_img=200)))
