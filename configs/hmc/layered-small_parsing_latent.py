"""`layered_parsing_latent.py` on the streams of `layered-small_codec.py`."""
_base_ = ['./layered_parsing_latent.py']
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
