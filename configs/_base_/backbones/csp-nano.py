"""The frozen backbone of a COCO-trained YOLOX-nano. Input: BGR, 0 to 255."""
csp_nano = dict(
    type='mmdet.CSPDarknet',
    deepen_factor=0.33,
    widen_factor=0.25,
    use_depthwise=True,
    out_indices=(1, 2, 3, 4),
    frozen_stages=4,
    norm_eval=True,
    norm_cfg=dict(type='BN', momentum=0.03, eps=0.001),
    act_cfg=dict(type='Swish'),
    init_cfg=dict(
        type='Pretrained',
        checkpoint='mmhmc://yolox-nano_coco',
        prefix='backbone.'))
