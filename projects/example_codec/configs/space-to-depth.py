"""The codec: an axis, to be mixed with any task model."""
custom_imports = dict(
    imports=['projects.example_codec.example_codec'],
    allow_failed_imports=False)
codec = dict(
    type='mmhmc.SpaceToDepthCodec', hidden_channels=48, latent_channels=128)
