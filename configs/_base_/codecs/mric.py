codec = dict(
    type='mmhmc.MRIC', hidden_channels=256, latent_channels=320, num_slices=10)
