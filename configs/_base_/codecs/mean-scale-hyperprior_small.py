"""A codec that trains on a CPU in an hour."""
_base_ = ['./mean-scale-hyperprior.py']
codec = dict(hidden_channels=64, latent_channels=96)
