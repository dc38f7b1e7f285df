"""Distance of a discriminator's features of two images."""
from collections.abc import Sequence

import torch
from torch import Tensor


def feature_matching_loss(real: Sequence[Tensor],
                          fake: Sequence[Tensor]) -> Tensor:
    """Mean absolute difference of features, all layers with equal weight.

    Args:
        real: Features of originals, each of any shape; no gradient goes
            there.
        fake: Those of decoded images, of the same shapes.

    Returns:
        A scalar, float32, not negative.

    Raises:
        ValueError: If there are no features, or not as many.

    Reference:
        T.-C. Wang et al.: "High-Resolution Image Synthesis and Semantic
        Manipulation with Conditional GANs", CVPR 2018.
        https://arxiv.org/abs/1711.11585
    """
    if not real or len(real) != len(fake):
        raise ValueError('As many features of originals as of decoded '
                         f'images are compared, got {len(real)} and '
                         f'{len(fake)}.')
    return torch.stack([(one.detach().float() - other.float()).abs().mean()
                        for one, other in zip(real, fake)]).mean()
