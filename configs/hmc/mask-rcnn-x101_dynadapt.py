"""Dynamic adaptation (ICIP 2024) with the paper's Mask R-CNN X101-32x8d-FPN.

The paper uses detectron2's weights (44.3 box / 39.5 mask AP uncompressed);
these are mmdet's (44.0 / 39.3). Stages and rates as `mask-rcnn_dynadapt.py`.
Not trained here.
"""
_base_ = ['mask-rcnn_dynadapt.py']
load_from = ('https://download.openmmlab.com/mmdetection/v2.0/mask_rcnn/'
             'mask_rcnn_x101_32x8d_fpn_mstrain-poly_3x_coco/'
             'mask_rcnn_x101_32x8d_fpn_mstrain-poly_3x_coco_20210607_161042-'
             '8bd2c639.pth')
# These weights come from detectron2's ResNeXt: BGR, a deviation of its own.
_norm = dict(
    mean=[103.530, 116.280, 123.675],
    std=[57.375, 57.120, 58.395],
    bgr_to_rgb=False)
model = dict(
    data_preprocessor=_norm,
    backbone=dict(
        input_norm=_norm,
        backbone=dict(
            type='ResNeXt',
            depth=101,
            groups=32,
            base_width=8,
            norm_cfg=dict(type='BN', requires_grad=False))))
