"""The layered codec at a width that trains on a CPU."""
_base_ = ['./layered.py']
codec = dict(
    hidden_channels=64,
    semantic_channels=32,
    texture_channels=32,
    hyper_channels=16,
    texture_widths=(16, 32, 64, 96, 128),
    decoder_widths=(128, 96, 64, 32, 16))
