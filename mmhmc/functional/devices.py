"""What a device has to be waited for."""
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import chain
from typing import Optional, Union

import torch
from torch import Tensor, nn

_hurrying = ContextVar('hurrying', default=False)


def answers_at_once(x: Tensor) -> bool:
    """Whether a look at the numbers of ``x`` waits for nothing.

    A GPU works off a queue: to see a number of its, all that was asked
    before has to be done, and nothing more is asked meanwhile.
    """
    return x.device.type in ('cpu', 'meta')


@contextmanager
def hurrying() -> Iterator[None]:
    """Around what is to wait for no device, e.g. a step of training."""
    token = _hurrying.set(True)
    try:
        yield
    finally:
        _hurrying.reset(token)


def is_hurrying() -> bool:
    """Whether this is within :func:`hurrying`."""
    return _hurrying.get()


def device_of(network: nn.Module) -> torch.device:
    """Where a network computes; the CPU if it has no weights."""
    held = chain(network.parameters(), network.buffers())
    return next((one.device for one in held), torch.device('cpu'))


def beside(network: Callable, x: Tensor) -> Callable:
    """A network on the device of what it is to see.

    Metrics and losses hold networks of which no model knows, and which nobody
    else moves.

    Args:
        network: Moved if it is a module with weights elsewhere.
        x: What it is to see.

    Returns:
        The network.
    """
    if isinstance(network, nn.Module) and \
            any(True for _ in chain(network.parameters(), network.buffers())) \
            and device_of(network) != x.device:
        # What moves in inference mode could not be trained through later.
        with torch.inference_mode(False):
            network.to(x.device)
    return network


class ImageSizes(list):
    """Height and width of each image of a batch, copied to a device once."""

    _copy: Optional[Tensor] = None

    def on(self, device: torch.device) -> Tensor:
        """The sizes on a device, int64, shape (B, 2)."""
        if self._copy is None or self._copy.device != device:
            self._copy = to_device(list(self), device)
        return self._copy


def to_device(values: Union[float, Sequence], device: torch.device) -> Tensor:
    """A small tensor of Python's numbers, without waiting for the device.

    Args:
        values: A number, or numbers in a list, or in lists of lists.
        device: Where they go; ``torch.tensor(values, device=...)`` would
            wait until all work before has been done there.
    """
    return torch.tensor(values).to(device, non_blocking=True)
