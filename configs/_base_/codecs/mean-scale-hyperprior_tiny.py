"""A codec that trains on a CPU in minutes, for the built-in images."""
_base_ = ['./mean-scale-hyperprior.py']
codec = dict(hidden_channels=48, latent_channels=64)
