"""Face parsing on images, by the trunk and the head that read the streams.

The reference of `layered_parsing_latent.py`: the price of reading latents
instead of uncompressed images.
"""
_base_ = [
    '../_base_/faces/parsing.py',
    '../_base_/schedules/layered_rgb.py',
]
