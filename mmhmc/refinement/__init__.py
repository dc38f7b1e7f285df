"""Encode-time optimisation; decoders and the file format stay."""
from .latent_refinement import LatentRefinement, RefinedImage
from .objective import FeatureReader, RefinementObjective

__all__ = [
    'FeatureReader', 'LatentRefinement', 'RefinedImage', 'RefinementObjective'
]
