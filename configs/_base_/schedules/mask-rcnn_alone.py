"""Mask R-CNN learns on uncompressed images, on two CPU cores."""
_base_ = ['./adamw_cosine.py']
custom_hooks = [
    dict(
        type='mmhmc.AutocastHook',
        modules=[
            'backbone', 'neck', 'rpn_head', 'roi_head.bbox_head',
            'roi_head.mask_head'
        ],
        channels_last=True)
]
