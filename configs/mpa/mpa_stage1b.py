"""MPA, stage 1, second half: the same against a discriminator per quality."""
_base_ = ['mpa_stage1a.py']
stages = [dict(name='1a', config='mpa_stage1a.py', result='load_from')]
model = dict(
    discriminator=dict(_delete_=True, type='mmhmc.PatchDiscriminator'))
