"""DCVC-UF's intra codec at a width that trains on a CPU: 5.7 M parameters."""
codec = dict(
    type='mmhmc.DCVCUFIntra',
    hidden_channels=128,
    latent_channels=96,
    hyper_channels=64)
