"""A stand-in for LPIPS where its weights are not available."""
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from mmhmc.registry import MODELS
from .perceptual_loss import PerceptualLoss, feature_distance


@MODELS.register_module()
class FeatureLoss(PerceptualLoss):
    """Distance of features of a small network with fixed random weights.

    For tests, and for training without a network connection: it is computed
    like :class:`LPIPSLoss`, but it has not been compared with the judgement
    of people, and its values are not those of LPIPS. Do not report them.

    Args:
        widths: Channels of each stage; a stage is a 3x3 convolution with
            ReLU, and halves the image's sides after it.
        seed: Seed of the weights: equal seeds give equal losses.

    Raises:
        ValueError: If there is no stage.
    """

    def __init__(self,
                 widths: Sequence[int] = (16, 32, 64),
                 seed: int = 0) -> None:
        if not widths:
            raise ValueError('`widths` must name at least one stage.')
        stages = nn.ModuleList()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for before, width in zip((3, *widths), widths):
                conv = nn.Conv2d(before, width, 3, padding=1)
                nn.init.kaiming_normal_(conv.weight)
                nn.init.zeros_(conv.bias)
                stages.append(nn.Sequential(conv, nn.ReLU()))
        super().__init__(stages)

    def distance(self, network: nn.Module, x: Tensor, x_hat: Tensor) -> Tensor:
        """See :meth:`PerceptualLoss.distance`; within [0, 4]."""
        # The original's stages first: they need no gradient.
        with torch.no_grad():
            originals = list(_features(network, x))
        decoded = _features(network, x_hat)
        return sum(map(feature_distance, originals, decoded)) / len(network)


def _features(network: nn.ModuleList, x: Tensor) -> Iterator[Tensor]:
    """Output of each stage."""
    features = x * 2 - 1
    for stage in network:
        features = stage(features)
        yield features
        features = nn.functional.avg_pool2d(features, 2, ceil_mode=True)
