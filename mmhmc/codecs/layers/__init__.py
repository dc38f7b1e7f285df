"""What codecs are built of, beside CompressAI's layers."""
from .attention_stage import (AttentionBlock, AttentionStage, Transform,
                              interpolate_gains)
from .derived import Derived
from .divisive_norm import DivisiveNorm
from .fixed_point import FixedPointNetwork, saturation
from .fixed_point_attention import exact_gains
from .klt import best_step, init_as_klt
from .multi_path import MultiPathStage, PathChoice
from .neighbourhood_attention import NeighbourhoodAttention

__all__ = [
    'AttentionBlock', 'AttentionStage', 'Derived', 'DivisiveNorm',
    'FixedPointNetwork', 'MultiPathStage', 'NeighbourhoodAttention',
    'PathChoice', 'Transform', 'best_step', 'exact_gains', 'init_as_klt',
    'interpolate_gains', 'saturation'
]
