from mmhmc.codecs import FactorizedPrior

codec = dict(type=FactorizedPrior, hidden_channels=128, latent_channels=192)
