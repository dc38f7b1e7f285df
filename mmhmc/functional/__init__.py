"""Pure tensor functions: padding, tiles, rate, colour, 8 bits."""
from mmhmc.former_names import former_attribute
from .bounds import bound
from .colour import rgb_to_yuv, yuv_to_rgb
from .eight_bits import to_8_bits, to_pixels
from .padding import crop_to, extend_edges, padded_size
from .rate import count_bits, image_mse, valid_mask
from .tiling import run_in_tiles

__all__ = [
    'bound', 'count_bits', 'crop_to', 'extend_edges', 'image_mse',
    'padded_size', 'rgb_to_yuv', 'run_in_tiles', 'to_8_bits', 'to_pixels',
    'valid_mask', 'yuv_to_rgb'
]

__getattr__ = former_attribute(__name__)
