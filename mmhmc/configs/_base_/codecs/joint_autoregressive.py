from mmhmc.codecs import JointAutoregressive

codec = dict(
    type=JointAutoregressive, hidden_channels=192, latent_channels=192)
