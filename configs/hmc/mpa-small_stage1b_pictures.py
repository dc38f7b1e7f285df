"""Small MPA, stage 1, second half: against a discriminator per quality."""
_base_ = ['./mpa-small_stage1a_pictures.py']
stages = [
    dict(
        name='1a', config='mpa-small_stage1a_pictures.py', result='load_from')
]
model = dict(
    lmbda_adversarial=0.1,
    discriminator=dict(
        _delete_=True,
        type='mmhmc.PatchDiscriminator',
        hidden_channels=(16, 32, 64, 64)))
train_cfg = dict(max_iters=1000)
optim_wrapper = dict(optimizer=dict(lr=2e-4))
param_scheduler = [
    dict(type='CosineAnnealingLR', by_epoch=False, T_max=1000, eta_min=2e-5)
]
