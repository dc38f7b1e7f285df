"""Where tensors are, and work that does not wait for a GPU."""
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import chain

import torch
from torch import Tensor, nn

_estimating = ContextVar('estimating', default=False)


def reads_without_waiting(x: Tensor) -> bool:
    """Whether reading values of ``x`` needs no synchronisation.

    A GPU works through a queue: reading one value waits until all work
    before it is done, and queues nothing meanwhile.
    """
    return x.device.type in ('cpu', 'meta')


@contextmanager
def estimating() -> Iterator[None]:
    """Context in which codecs estimate latents, and wait for no device."""
    token = _estimating.set(True)
    try:
        yield
    finally:
        _estimating.reset(token)


def is_estimating() -> bool:
    """Whether the caller is within :func:`estimating`."""
    return _estimating.get()


def device_of(network: nn.Module) -> torch.device:
    """Device of a network's weights; the CPU if it has none."""
    held = chain(network.parameters(), network.buffers())
    return next((one.device for one in held), torch.device('cpu'))


def on_device_of(network: Callable, x: Tensor) -> Callable:
    """Move a network to the device of its input.

    Networks of metrics and losses are no submodules of a model, so moving
    the model does not move them.

    Args:
        network: Moved if it is a module with weights on another device.
        x: Its input.

    Returns:
        The network.
    """
    if isinstance(network, nn.Module) and \
            any(True for _ in chain(network.parameters(), network.buffers())) \
            and device_of(network) != x.device:
        # Weights moved in inference mode could not carry gradients later.
        with torch.inference_mode(False):
            network.to(x.device)
    return network


class ImageSizes(list):
    """Height and width of each image of a batch, copied to a device once."""

    _copy: Tensor | None = None

    def on(self, device: torch.device) -> Tensor:
        """The sizes on a device, int64, shape (B, 2)."""
        if self._copy is None or self._copy.device != device:
            self._copy = to_device(list(self), device)
        return self._copy


def to_device(values: float | Sequence, device: torch.device) -> Tensor:
    """A small tensor of Python's numbers, without waiting for the device.

    Args:
        values: A number, or numbers in a list, or in lists of lists.
        device: Where they go; ``torch.tensor(values, device=...)`` would
            wait until all work before has been done there.
    """
    return torch.tensor(values).to(device, non_blocking=True)
