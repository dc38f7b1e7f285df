"""Small MPA: the main path again, with a network that knows ImageNet.

It begins from all paths, of `model.codec.init_cfg.checkpoint`. Only the MLPs
of the decoder's main path learn, so bits stay, and what tasks get. The
objective is that of the published stage 1 without the rate and the
discriminator, with `EfficientNetLoss` for LPIPS, and the squared error weighs
0.3 times as much.
"""
_base_ = ['mpa-small_mse_pictures.py']
stages = []
model = dict(
    codec=dict(trained_task='perceptual'),
    condition=dict(_delete_=True, quality=8),
    train_condition=dict(_delete_=True, quality=[1, 2, 3, 4, 5, 6, 7, 8]))
objective = dict(
    lmbda_distortion=0.003,
    perceptual=dict(type='mmhmc.EfficientNetLoss'),
    lmbda_perceptual=4.26)
train_cfg = dict(max_iters=1200)
param_scheduler = [dict(_base_.param_scheduler[0], T_max=1200)]
