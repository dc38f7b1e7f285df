"""MPA at a width that trains on a CPU."""
from mmhmc.codecs import MPA

codec = dict(
    type=MPA,
    hidden_channels=(32, 48, 64),
    latent_channels=96,
    hyper_channels=48,
    depths=(1, 1, 2, 1, 1, 1),
    drop_path=0.)
