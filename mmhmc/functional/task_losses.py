"""Losses of hosts, which are tensors or lists of them."""
from torch import Tensor


def weigh_losses(losses: dict, weight: float) -> dict:
    """A host's losses times a weight; its other values as they are.

    Args:
        losses: As a host's ``loss`` gives them: tensors, or lists of tensors
            of dense heads, one for each level. What has ``loss`` in its name
            is summed.
        weight: What losses are multiplied by. With 0 they are left out, for
            0 times infinity is no number.

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
