from mmhmc.codecs import ELIC

codec = dict(
    type=ELIC,
    hidden_channels=192,
    latent_channels=320,
    groups=(16, 16, 32, 64, 192))
