"""The codec alone, for people, on the built-in images: 2,000 steps."""
_base_ = [
    '../../../configs/mean_scale_hyperprior/'
    'mean-scale-hyperprior_sample.py'
]
custom_imports = dict(
    imports=['projects.example_codec.example_codec'],
    allow_failed_imports=False)
model = dict(
    codec=dict(
        _delete_=True,
        type='mmhmc.SpaceToDepthCodec',
        hidden_channels=48,
        latent_channels=128))
