codec = dict(
    type='mmhmc.JointAutoregressive', hidden_channels=192, latent_channels=192)
