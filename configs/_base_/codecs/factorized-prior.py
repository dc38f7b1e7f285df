codec = dict(
    type='mmhmc.FactorizedPrior', hidden_channels=128, latent_channels=192)
