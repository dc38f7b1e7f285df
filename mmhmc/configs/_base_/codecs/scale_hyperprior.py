from mmhmc.codecs import ScaleHyperprior

codec = dict(type=ScaleHyperprior, hidden_channels=128, latent_channels=192)
