"""Points of a face: a stem, the analysis trunk, a head."""
model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True),
    backbone=dict(type='mmhmc.ImageStem', widths=(64, 128, 128, 112)),
    neck=dict(
        type='mmhmc.CompressedDomainNeck',
        in_channels=112,
        out_channels=128,
        strides=None,
        num_blocks=8),
    head=dict(type='mmhmc.PointsHead', in_channels=128, num_points=5))
