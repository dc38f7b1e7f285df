"""Networks between a decoded image, or a latent, and the host."""
from .dynamic_adaptation import DynamicAdaptation

__all__ = ['DynamicAdaptation']
