"""Networks between a decoded image, or a latent, and the host."""
from .dynamic_adaptation import DynamicAdaptation
from .machine_synthesis import MachineSynthesis

__all__ = ['DynamicAdaptation', 'MachineSynthesis']
