"""Maps of what matters to a network, and of what a user cares for."""
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from mmhmc.registry import MODELS, build_part

#: A map gives each pixel at least this part of the mean.
_FLOOR = 0.1


@MODELS.register_module()
class SketchMap:
    """How much each pixel of an image moves the features of a network.

    .. code-block:: none

        x ─► f(x) ─► +-1 at random for each value ─► gradient at x ─► squared
                          (mean over probes) ─► sum of colours ─► smoothed

    The mean over random signs is the diagonal of ``J^T J``, for the Jacobian
    ``J`` of the features: an error ``e`` in the image moves the features by
    about ``sum(map * e^2)``. Each feature map is scaled to an energy of 1.

    Reference (without the sketch of the Jacobian in the codec's own blocks):
        S. Fernández-Menduiña, E. Pavez, A. Ortega: "Image Coding for Machines
        via Feature-Preserving Rate-Distortion Optimization", 2025.
        https://arxiv.org/abs/2504.02216

    Args:
        reader: Object with ``targets``, a function of images (1, 3, H, W) to
            feature maps, e.g. a :class:`FeatureReader`; or its config.
        probes: Number of random signs for each value, at least 1.
        smoothing: Side in pixels of the square over which is averaged, odd.
        seed: Of the signs.

    Raises:
        ValueError: If a number is out of range.
    """

    def __init__(self,
                 reader: Any,
                 probes: int = 8,
                 smoothing: int = 9,
                 seed: int = 0) -> None:
        if probes < 1:
            raise ValueError(f'`probes` must be 1 or more, got {probes}.')
        if smoothing < 1 or smoothing % 2 == 0:
            raise ValueError('`smoothing` must be odd and positive, got '
                             f'{smoothing}.')
        self.reader = build_part(reader)
        self.probes, self.smoothing, self.seed = probes, smoothing, seed

    def __call__(self, x: Tensor) -> Tensor:
        """The map of an image.

        Args:
            x: RGB in [0, 1], shape (1, 3, H, W).

        Returns:
            Shape (1, 1, H, W), positive, with a mean of 1.

        Raises:
            ValueError: If the network sees nothing of the image.
        """
        with torch.inference_mode(False), torch.enable_grad():
            seen = x.detach().clone().requires_grad_()
            energy = self._energy(seen, self.reader.targets(seen))
        if not energy.isfinite().all() or not energy.any():
            raise ValueError('The map is zero or not finite everywhere: the '
                             'features of the network do not depend on the '
                             'image.')
        margin = self.smoothing // 2
        padded = pad(energy, (margin, ) * 4, 'replicate')
        energy = avg_pool2d(padded, self.smoothing, 1)
        energy = energy + _FLOOR * energy.mean()
        return energy / energy.mean()

    def settings(self) -> dict:
        """All that decides the map beside the image, for JSON."""
        reader = self.reader
        return dict(
            reader=reader.settings()
            if hasattr(reader, 'settings') else repr(reader),
            probes=self.probes,
            smoothing=self.smoothing,
            seed=self.seed)

    def _energy(self, x: Tensor, features: Sequence[Tensor]) -> Tensor:
        generator = torch.Generator(x.device).manual_seed(self.seed)
        energy = x.new_zeros(1, 1, *x.shape[-2:])
        for probe in range(self.probes):
            signed = sum(
                (one * self._signs(one, generator)).sum() for one in features)
            gradient, = torch.autograd.grad(
                signed, x, retain_graph=probe < self.probes - 1)
            energy += gradient.square().sum(1, keepdim=True)
        return energy / self.probes

    @staticmethod
    def _signs(feature: Tensor, generator: torch.Generator) -> Tensor:
        signs = torch.randint(
            2, feature.shape, device=feature.device, generator=generator)
        energy = feature.detach().square().sum().clamp(min=1e-12)
        return (2. * signs - 1) / math.sqrt(energy)


def boxes_to_map(boxes: Sequence[Sequence[float]],
                 size: tuple[int, int],
                 inside: float = 8.) -> Tensor:
    """A map in which boxes matter more.

    Args:
        boxes: Each with left, top, right and bottom in pixels.
        size: Height and width.
        inside: Weight of their pixels; that of others is 1.

    Returns:
        Shape (1, 1, H, W).

    Raises:
        ValueError: If a box has not four numbers, or nothing of it is in the
            image, or ``inside`` is not positive.
    """
    if not 0 < inside < math.inf:
        raise ValueError(f'`inside` must be positive, got {inside!r}.')
    height, width = size
    weights = torch.ones(1, 1, height, width)
    for box in boxes:
        if len(box) != 4 or not all(map(math.isfinite, box)):
            raise ValueError('A box has left, top, right and bottom, got '
                             f'{box!r}.')
        left, top = (max(0, math.floor(v)) for v in box[:2])
        right, bottom = (math.ceil(v) for v in box[2:])
        part = weights[..., top:max(0, bottom), left:max(0, right)]
        if not part.numel():
            raise ValueError(f'The box {list(box)} has nothing in an image of '
                             f'{width} x {height} pixels.')
        part.fill_(inside)
    return weights
