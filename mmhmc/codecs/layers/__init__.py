"""What codecs are built of, beside CompressAI's layers."""
from .attention_stage import (AttentionBlock, AttentionStage, Transform,
                              interpolate_gains)
from .derived import Derived
from .fixed_point import FixedPointNetwork, activation_ranges, choose_settings
from .klt import best_step, init_as_klt
from .multi_path import MultiPathStage, PathChoice
from .neighbourhood_attention import NeighbourhoodAttention

__all__ = [
    'AttentionBlock', 'AttentionStage', 'Derived', 'FixedPointNetwork',
    'MultiPathStage', 'NeighbourhoodAttention', 'PathChoice', 'Transform',
    'activation_ranges', 'best_step', 'choose_settings', 'init_as_klt',
    'interpolate_gains'
]
