"""Layered generative codec at a width that trains on a CPU.

`layered_codec.py` at a quarter of its cost. LPIPS's place is taken by the
backbone of `yolox-nano_coco` of the zoo. Rates: `model.lmbda_rate` of
1, 2, 4, the first to be trained, and 8; the others begin with
`load_from=CHECKPOINT` of it.
"""
_base_ = [
    '../_base_/codec_models/layered.py',
    '../_base_/codecs/layered_small.py',
    '../_base_/losses/csp-nano.py',
]
model = dict(
    codec=_base_.codec,
    perceptual=dict(_delete_=True, **_base_.perceptual),
    discriminator=dict(hidden_channels=(16, 32, 64, 64)),
    adversarial_begin=1600)
train_dataloader = dict(batch_size=2)
train_cfg = dict(max_iters=2000)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='mmhmc.Muon', lr=2e-2, adamw_lr=1e-3),
    discriminator=dict(optimizer=dict(type='Adam', lr=2e-4, betas=(0.5, 0.9))))
param_scheduler = [
    dict(
        type='CosineAnnealingLR',
        by_epoch=False,
        T_max=2000,
        eta_min_ratio=0.05)
]
