"""Building blocks of codecs, in addition to CompressAI's layers."""
from mmhmc.former_names import former_attribute
from . import fixed_point_attention  # noqa: F401, registers integer forms
from . import fixed_point_layers  # noqa: F401
from .attention_stage import AttentionStage, Transform, TransformerBlock
from .depth_conv import DepthConvBlock
from .divisive_norm import DivisiveNorm
from .factorised_density import FactorisedDensity
from .fixed_point import FixedPointNetwork, saturation
from .gain import exact_gains, interpolate_gains
from .klt import best_step, init_as_klt
from .multi_path import MultiPathStage, PathChoice
from .neighbourhood_attention import NeighbourhoodAttention
from .tensor_cache import TensorCache

__all__ = [
    'AttentionStage', 'DepthConvBlock', 'DivisiveNorm', 'FactorisedDensity',
    'FixedPointNetwork', 'MultiPathStage', 'NeighbourhoodAttention',
    'PathChoice', 'TensorCache', 'Transform', 'TransformerBlock', 'best_step',
    'exact_gains', 'init_as_klt', 'interpolate_gains', 'saturation'
]

__getattr__ = former_attribute(__name__)
