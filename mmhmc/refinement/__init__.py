"""Encode-time optimisation; decoders and the file format stay."""
from mmhmc.registry import build_refinement
from .exchange_rate import exchange_rate
from .importance import SketchMap, boxes_to_map
from .latent_refinement import LatentRefinement, RefinedImage
from .objective import FeatureReader, RefinementObjective

__all__ = [
    'FeatureReader', 'LatentRefinement', 'RefinedImage', 'RefinementObjective',
    'SketchMap', 'boxes_to_map', 'build_refinement', 'exchange_rate'
]
