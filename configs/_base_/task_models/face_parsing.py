"""19 classes of pixels on images: a stem, the analysis trunk, a head.

The trunk is what reads latents in `configs/layered/layered_parsing_latent.py`.
"""
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size=(256, 256)),
    backbone=dict(type='mmhmc.ImageStem', widths=(64, 128, 128, 112)),
    neck=dict(
        type='mmhmc.CompressedDomainNeck',
        in_channels=112,
        out_channels=128,
        strides=(4, ),
        num_blocks=8),
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
    test_cfg=dict(mode='whole'))
