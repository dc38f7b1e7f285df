"""What a refinement makes small: bits, distortion, distance of features."""
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Optional

import torch
from torch import Tensor

#: Images (1, 3, H, W) in [0, 1] to feature maps.
Reader = Callable[[Tensor], Sequence[Tensor]]


@dataclass(frozen=True)
class FeatureReader:
    """A frozen network that will look at the decoded image.

    Args:
        features: Images (1, 3, H, W), RGB in [0, 1], to the feature maps that
            count, with gradients.
        weight: Weight of their distance, positive.
    """

    features: Reader
    weight: float = 0.05


@dataclass
class RefinementObjective:
    """The Lagrangian of one image.

    .. code-block:: none

        bits / pixels + lmbda * 255^2 * mean(importance * (x - x_hat)^2)
            + sum of weight * |f(x) - f(x_hat)|^2 / |f(x)|^2 over readers

    Args:
        x: Original, RGB in [0, 1], shape (1, 3, H, W).
        lmbda: Weight of the squared error, not negative.
        readers: Networks whose features count.
        importance: Weight of each pixel, (1, 1, H, W), not negative; scaled
            to a mean of 1. None: all alike.

    Raises:
        ValueError: If a weight is negative or not finite, or the importance
            has another size, a negative value, or is zero everywhere.
    """

    x: Tensor
    lmbda: float
    readers: Sequence[FeatureReader] = ()
    importance: Optional[Tensor] = None
    _targets: list[list[Tensor]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for weight in (self.lmbda, *(one.weight for one in self.readers)):
            if not math.isfinite(weight) or weight < 0:
                raise ValueError('Weights of the objective must be finite and '
                                 f'not negative, got {weight}.')
        if self.importance is not None:
            self.importance = _checked_map(self.importance, self.x)
        with torch.no_grad():
            self._targets = [[f.detach() for f in one.features(self.x)]
                             for one in self.readers]

    def __call__(self, bits: Tensor, x_hat: Tensor) -> Tensor:
        """The objective, a scalar.

        Args:
            bits: Bits of the image, real or estimated, a scalar.
            x_hat: Decoded image, as ``x``.
        """
        pixels = self.x.shape[-2] * self.x.shape[-1]
        return (bits / pixels + self.lmbda * 255**2 * self.distortion(x_hat) +
                self.task_distance(x_hat))

    def distortion(self, x_hat: Tensor) -> Tensor:
        """Mean squared error, weighted by the importance."""
        error = (x_hat - self.x).square()
        if self.importance is not None:
            error = error * self.importance
        return error.mean()

    def task_distance(self, x_hat: Tensor) -> Tensor:
        """Weighted relative squared distance of the features, a scalar."""
        total = x_hat.new_zeros(())
        for one, targets in zip(self.readers, self._targets):
            # Decoders show [0, 1].
            for seen, target in zip(one.features(x_hat.clamp(0, 1)), targets):
                total = total + one.weight * (seen - target).square().mean(
                ) / target.square().mean().clamp(min=1e-12)
        return total


def _checked_map(importance: Tensor, x: Tensor) -> Tensor:
    expected = (1, 1, *x.shape[-2:])
    if tuple(importance.shape) != expected:
        raise ValueError(f'`importance` must have the shape {expected} of the '
                         f'image, got {tuple(importance.shape)}.')
    importance = importance.to(x)
    mean = importance.mean()
    if not mean.isfinite() or (importance < 0).any() or mean <= 0:
        raise ValueError('`importance` must be finite, not negative, and '
                         'positive somewhere.')
    return importance / mean
