"""Pure tensor functions: padding, tiles, rate, colour, normalisation."""
from .bounds import bound
from .colour import rgb_to_yuv, yuv_to_rgb
from .normalization import InputNorm
from .padding import crop_to, extend_edges, padded_size
from .rate import count_bits, picture_mse, valid_mask
from .tiling import run_in_tiles

__all__ = [
    'InputNorm', 'bound', 'count_bits', 'crop_to', 'extend_edges',
    'padded_size', 'picture_mse', 'rgb_to_yuv', 'run_in_tiles', 'valid_mask',
    'yuv_to_rgb'
]
