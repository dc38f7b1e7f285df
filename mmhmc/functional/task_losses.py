"""Losses of hosts: tensors, or lists of tensors."""
from torch import Tensor


def weigh_losses(losses: dict, weight: float) -> dict:
    """A host's losses times a weight; its other values as they are.

    Args:
        losses: From a host's ``loss``: tensors, or, of dense heads, lists
            of tensors, one for each level. Entries with ``loss`` in their
            name are losses; others are logged.
        weight: Factor. With 0 losses are left out: 0 times infinity is NaN.

    Returns:
        A new dictionary.
    """

    def scale(value):
        if isinstance(value, Tensor):
            return value * weight
        return [scale(one) for one in value]

    return {
        name: scale(value) if 'loss' in name else value
        for name, value in losses.items() if weight or 'loss' not in name
    }
