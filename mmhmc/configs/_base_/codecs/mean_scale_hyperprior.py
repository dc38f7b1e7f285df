from mmhmc.codecs import MeanScaleHyperprior

codec = dict(
    type=MeanScaleHyperprior, hidden_channels=128, latent_channels=192)
