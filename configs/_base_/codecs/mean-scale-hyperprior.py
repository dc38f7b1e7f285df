codec = dict(
    type='mmhmc.MeanScaleHyperprior', hidden_channels=128, latent_channels=192)
