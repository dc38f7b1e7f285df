"""Putting layers of ours in the place of others, with their parameters."""
from collections.abc import Callable

from torch import nn


def replace_layers(network: nn.Module, kind: str,
                   make: Callable[[nn.Module], nn.Module]) -> None:
    """Replace all layers of one class, but not those of its subclasses.

    Args:
        network: Has them as children of any depth.
        kind: Name of their class.
        make: Gives for a layer the one that takes its place.
    """
    for parent in [*network.modules()]:
        for name, layer in parent.named_children():
            if type(layer).__name__ == kind:
                setattr(parent, name, make(layer))


def convolution_of(kind: type[nn.Conv2d], conv: nn.Conv2d) -> nn.Conv2d:
    """A convolution of another class with the parameters of ``conv``."""
    layer = kind(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,
        conv.stride,
        conv.padding,
        device='meta')
    layer.weight, layer.bias = conv.weight, conv.bias
    return layer
