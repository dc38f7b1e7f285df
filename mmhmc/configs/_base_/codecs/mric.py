from mmhmc.codecs import MRIC

codec = dict(
    type=MRIC, hidden_channels=256, latent_channels=320, num_slices=10)
