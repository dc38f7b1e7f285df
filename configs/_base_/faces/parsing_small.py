"""Face parsing with a trunk and a head of half the width."""
_base_ = ['./parsing.py']
model = dict(
    backbone=dict(widths=(32, 48, 64, 64)),
    neck=dict(in_channels=64, out_channels=64, num_blocks=4),
    decode_head=dict(in_channels=64))
