"""Small MPA: the main path again, with a network that knows ImageNet.

It begins from all paths. Only the MLPs of the decoder's main path learn, so
bits stay, and what tasks get. The objective is that of the published stage 1
without the rate and the discriminator, and with `EfficientNetLoss` for LPIPS.
"""
_base_ = ['mpa-small_mse_pictures.py']
stages = []
model = dict(
    codec=dict(
        trained_task='perceptual',
        init_cfg=dict(checkpoint='mmhmc://mpa-small_pictures')),
    condition=dict(_delete_=True, quality=8),
    train_condition=dict(_delete_=True, quality=[1, 2, 3, 4, 5, 6, 7, 8]))
objective = dict(
    perceptual=dict(type='mmhmc.EfficientNetLoss'), lmbda_perceptual=4.26)
