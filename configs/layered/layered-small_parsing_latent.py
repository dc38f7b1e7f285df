"""`layered_parsing_latent.py` on the streams of `layered-small_codec.py`."""
_base_ = ['layered_parsing_latent.py']
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
    neck=dict(in_channels=64, out_channels=64, num_blocks=4),
    decode_head=dict(in_channels=64))
train_cfg = dict(max_epochs=20, val_interval=10)
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='mmhmc.Muon', lr=2e-2, adamw_lr=1e-3),
    clip_grad=dict(max_norm=10))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(
        type='CosineAnnealingLR',
        T_max=20,
        begin=0,
        end=20,
        by_epoch=True,
        convert_to_iter_based=True)
]
