"""Mask R-CNN X101-32x8d-FPN: the paper's detector, mmdet's training of it."""
_base_ = ['mmdet::_base_/models/mask-rcnn_r50_fpn.py']

model = dict(
    # The published weights come from detectron2's ResNeXt: BGR, own std.
    data_preprocessor=dict(
        mean=[103.530, 116.280, 123.675],
        std=[57.375, 57.120, 58.395],
        bgr_to_rgb=False),
    backbone=dict(
        type='ResNeXt',
        depth=101,
        groups=32,
        base_width=8,
        norm_cfg=dict(type='BN', requires_grad=False),
        init_cfg=None))
