"""Images compared by the backbone of a COCO-trained YOLOX-nano.

It takes LPIPS's place where the weights of that are not at hand.
"""
perceptual = dict(
    type='mmhmc.BackboneLoss',
    backbone=dict(
        type='mmdet.CSPDarknet',
        deepen_factor=0.33,
        widen_factor=0.25,
        use_depthwise=True,
        out_indices=(0, 1, 2, 3, 4),
        norm_cfg=dict(type='BN', momentum=0.03, eps=0.001),
        act_cfg=dict(type='Swish')),
    input_norm=dict(mean=[0., 0., 0.], std=[1., 1., 1.]),
    checkpoint='mmhmc://yolox-nano_coco')
