"""PSPNet on the frozen backbone of a COCO-trained YOLOX-nano.

A pyramid of features brings the head's input to an eighth of the image.
Input: BGR, 0 to 255.
"""
_base_ = ['../backbones/csp-nano.py']
_norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        bgr_to_rgb=False,
        pad_val=114,
        seg_pad_val=11,
        size_divisor=32,
        test_cfg=dict(size_divisor=32)),
    backbone=_base_.csp_nano,
    neck=dict(
        type='FPN',
        in_channels=[32, 64, 128, 256],
        out_channels=96,
        num_outs=4,
        norm_cfg=_norm_cfg),
    decode_head=dict(
        type='PSPHead',
        in_channels=96,
        in_index=1,
        channels=64,
        pool_scales=(1, 2, 3, 6),
        num_classes=11,
        ignore_index=11,
        norm_cfg=_norm_cfg,
        align_corners=False),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
