"""What a device has to be waited for."""
from collections.abc import Sequence

import torch
from torch import Tensor


def answers_at_once(x: Tensor) -> bool:
    """Whether a look at the numbers of ``x`` waits for nothing.

    A GPU works off a queue: to see a number of its, all that was asked
    before has to be done, and nothing more is asked meanwhile.
    """
    return x.device.type in ('cpu', 'meta')


def to_device(values: Sequence, device: torch.device) -> Tensor:
    """A small tensor of Python's numbers, without waiting for the device.

    Args:
        values: Numbers, perhaps in lists.
        device: Where they go; ``torch.tensor(values, device=...)`` would
            wait until all work before has been done there.
    """
    return torch.tensor(values).to(device, non_blocking=True)
