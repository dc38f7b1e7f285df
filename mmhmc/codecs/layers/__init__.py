"""What codecs are built of, beside CompressAI's layers."""
from .derived import Derived
from .fixed_point import FixedPointNetwork, activation_ranges, choose_settings

__all__ = [
    'Derived', 'FixedPointNetwork', 'activation_ranges', 'choose_settings'
]
