"""`layered_parsing_joint.py` on the streams of `layered-small_codec.py`."""
_base_ = ['./layered_parsing_joint.py', '../_base_/losses/csp-nano.py']
stages = [
    dict(
        name='codec',
        config='layered-small_codec.py',
        result='model.backbone.codec.init_cfg.checkpoint')
]
model = dict(
    backbone=dict(
        codec=dict(
            hidden_channels=64,
            semantic_channels=32,
            texture_channels=32,
            hyper_channels=16,
            texture_widths=(16, 32, 64, 96, 128),
            decoder_widths=(128, 96, 64, 32, 16))),
    neck=dict(in_channels=64))
custom_hooks = [
    dict(_base_.custom_hooks[0], perceptual=_base_.perceptual),
    *_base_.custom_hooks[1:]
]
