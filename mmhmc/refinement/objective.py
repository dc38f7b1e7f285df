"""What a refinement makes small: bits, distortion, distance of features."""
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Optional

import torch
from torch import Tensor

from mmhmc.registry import MODELS

#: Images (1, 3, H, W) in [0, 1] to feature maps.
Reader = Callable[[Tensor], Sequence[Tensor]]

#: A relative feature distance of 1, at which nothing of the features is left,
#: counts as much as this mean squared error in 8 bits, about 26 dB.
DISTANCE_SCALE = 150.
#: Weight of a PSNR below the floor, in units of that of the distortion.
_FLOOR_WEIGHT = 10.


@MODELS.register_module()
@dataclass(frozen=True)
class FeatureReader:
    """A frozen network that will look at the decoded image.

    Args:
        features: Decoded images (1, 3, H, W), RGB in [0, 1], to the feature
            maps that count, with gradients.
        weight: Weight beside those of other readers, positive.
        targets: The same of the original; ``features`` if left out. They
            differ where an adapter stands before the network.
    """

    features: Reader
    weight: float = 1.
    targets: Optional[Reader] = None

    def __post_init__(self) -> None:
        if self.targets is None:
            object.__setattr__(self, 'targets', self.features)


@dataclass
class RefinementObjective:
    """The Lagrangian of one image.

    .. code-block:: none

        bits / pixels + lmbda * ((1 - t) * 255^2 * mean(importance * error^2)
                                 + t * 150 * distance of features)

    The distance is ``mean((f(x) - f(x_hat))^2) / mean(f(x)^2)``, as a mean
    over the feature maps of a reader, and the weighted mean over readers.

    Args:
        x: Original, RGB in [0, 1], shape (1, 3, H, W).
        lmbda: Weight of what is lost beside the rate, not negative.
        readers: Networks whose features count.
        importance: Weight of each pixel, (1, 1, H, W), not negative; scaled
            to a mean of 1. None: all alike.
        task_weight: The share t of the readers, in [0, 1].
        least_psnr: PSNR in dB below which the distortion weighs eleven times
            as much; None for no floor.

    Raises:
        ValueError: If a weight is negative or not finite, or the importance
            has another size, a negative value, or is zero everywhere.
    """

    x: Tensor
    lmbda: float
    readers: Sequence[FeatureReader] = ()
    importance: Optional[Tensor] = None
    task_weight: float = 0.5
    least_psnr: Optional[float] = None
    _targets: list[list[Tensor]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for weight in (self.lmbda, *(one.weight for one in self.readers)):
            if not math.isfinite(weight) or weight < 0:
                raise ValueError('Weights of the objective must be finite and '
                                 f'not negative, got {weight}.')
        if not 0 <= self.task_weight <= 1:
            raise ValueError('`task_weight` must be in [0, 1], got '
                             f'{self.task_weight!r}.')
        if self.importance is not None:
            self.importance = _checked_map(self.importance, self.x)
        with torch.no_grad():
            self._targets = [[f.detach() for f in one.targets(self.x)]
                             for one in self.readers]

    def __call__(self,
                 bits: Tensor,
                 x_hat: Tensor,
                 seen: Optional[Tensor] = None) -> Tensor:
        """The objective, a scalar.

        Args:
            bits: Bits of the image, real or estimated, a scalar.
            x_hat: Decoded image, as ``x``.
            seen: What the readers see, as ``x``; None: the same.
        """
        pixels = self.x.shape[-2] * self.x.shape[-1]
        share = self.task_weight if self.readers else 0.
        lost = (1 - share) * 255**2 * self.distortion(x_hat)
        if share:
            lost = lost + share * DISTANCE_SCALE * self.task_distance(
                x_hat if seen is None else seen)
        if self.least_psnr is not None:
            below = (x_hat - self.x).square().mean() - 10**(-self.least_psnr /
                                                            10)
            lost = lost + _FLOOR_WEIGHT * 255**2 * below.clamp(min=0)
        return bits / pixels + self.lmbda * lost

    def distortion(self, x_hat: Tensor) -> Tensor:
        """Mean squared error, weighted by the importance."""
        error = (x_hat - self.x).square()
        if self.importance is not None:
            error = error * self.importance
        return error.mean()

    def task_distance(self, x_hat: Tensor) -> Tensor:
        """Relative squared distance of the features, a scalar."""
        total = x_hat.new_zeros(())
        # Decoders show [0, 1].
        shown = x_hat.clamp(0, 1)
        for one, targets in zip(self.readers, self._targets):
            distances = [(seen - target).square().mean() /
                         target.square().mean().clamp(min=1e-12)
                         for seen, target in zip(one.features(shown), targets)]
            total = total + one.weight * torch.stack(distances).mean()
        return total / max(sum(one.weight for one in self.readers), 1e-12)


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
