"""Distances of images by a frozen network."""
from abc import abstractmethod

import torch
from torch import Tensor, nn


class PerceptualLoss(nn.Module):
    """Base class: a distance between images, by a frozen network.

    The network is no submodule: optimizers and DDP do not see its parameters,
    and checkpoints do not contain it. It follows the images to their device,
    and computes in float32 under autocast.

    Args:
        network: Network that compares images.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        # In a list, so that it is no submodule.
        self._networks = [network.eval().requires_grad_(False)]

    def forward(self, x: Tensor, x_hat: Tensor) -> Tensor:
        """Compare images.

        Args:
            x: RGB, nominally in [0, 1], shape (B, 3, H, W); it gets no
                gradient.
            x_hat: Images that are compared with ``x``, same shape.

        Returns:
            Distance of each image, not negative, shape (B,), float32.

        Raises:
            ValueError: If the shapes differ.
        """
        if x.shape != x_hat.shape:
            raise ValueError('Images of equal shape can be compared, got '
                             f'{tuple(x.shape)} and {tuple(x_hat.shape)}.')
        # Weights moved in inference mode could not be trained through later.
        with torch.inference_mode(False):
            network = self._networks[0].to(x.device)
        with torch.autocast(x.device.type, enabled=False):
            return self.distance(network, x.detach().float(), x_hat.float())

    @abstractmethod
    def distance(self, network: nn.Module, x: Tensor, x_hat: Tensor) -> Tensor:
        """Distances (B,) of images (B, 3, H, W) by ``network``."""


def feature_distance(one: Tensor, other: Tensor) -> Tensor:
    """Distance of features, whose vectors are normalised to length 1.

    Args:
        one: Features of images, shape (B, C, H, W).
        other: Features of other images, same shape.

    Returns:
        Mean over positions of the squared distance, in [0, 4], shape (B,).
    """
    one, other = (
        nn.functional.normalize(features, dim=1, eps=1e-6)
        for features in (one, other))
    return (one - other).square().sum(dim=1).mean(dim=(1, 2))
