"""FCN that learns the built-in data set from scratch on two CPU cores."""
_base_ = ['mmseg::_base_/models/fcn_r50-d8.py']

# One process; and no auxiliary head, which no prediction needs.
_norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    data_preprocessor=dict(size=(256, 256)),
    pretrained=None,
    backbone=dict(
        depth=18, base_channels=32, stem_channels=32, norm_cfg=_norm_cfg),
    decode_head=dict(
        in_channels=256, channels=64, num_classes=6, norm_cfg=_norm_cfg),
    auxiliary_head=None)
