codec = dict(
    type='mmhmc.ScaleHyperprior', hidden_channels=128, latent_channels=192)
