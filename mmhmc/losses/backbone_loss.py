"""Distance of pictures as the backbone of a host sees them."""
from copy import deepcopy
from typing import Optional, Union

import torch
from torch import Tensor, nn

from mmhmc.functional import InputNorm
from mmhmc.registry import MODELS
from .perceptual_loss import PerceptualLoss, feature_distance


@MODELS.register_module()
class BackboneLoss(PerceptualLoss):
    """Distance of the features of a trained backbone, which stands still.

    Like LPIPS, but by a network that is at hand: the machine's own, say. It
    needs no labels, so a codec learns from any pictures what a machine needs,
    and not by heart what a small data set shows. Distances are averaged over
    stages. Those of LPIPS, of vectors of length 1, let colours and contrast
    drift; a host that reads the features themselves may need ``unit=False``.

    .. code-block:: python

        perceptual=dict(
            type='mmhmc.BackboneLoss',
            backbone=_base_.model.backbone,     # with its init_cfg
            input_norm=_base_.model.data_preprocessor)

    Its values are not those of LPIPS.

    Reference:
        J. Johnson, A. Alahi, L. Fei-Fei: "Perceptual Losses for Real-Time
        Style Transfer and Super-Resolution", ECCV 2016,
        https://arxiv.org/abs/1603.08155, for features as a distance; their
        length is LPIPS's (Zhang et al. 2018).

    Args:
        backbone: Config of a backbone that returns one or several feature
            maps (B, C, H, W).
        input_norm: The data preprocessor config of its host, or an
            :class:`InputNorm`: what the backbone expects.
        unit: Whether vectors are brought to length 1; if not, squared
            differences are measured by the mean square of the original's
            features.
        checkpoint: File of the host's weights, of which it takes those of
            ``backbone.``; by default the backbone's own ``init_cfg``.

    Raises:
        ValueError: If there are no weights to begin with.
    """

    def __init__(self,
                 backbone: dict,
                 input_norm: Union[InputNorm, dict],
                 unit: bool = True,
                 checkpoint: Optional[str] = None) -> None:
        backbone = deepcopy(backbone)
        if checkpoint is not None:
            backbone['init_cfg'] = dict(
                type='Pretrained', checkpoint=checkpoint, prefix='backbone.')
        if not backbone.get('init_cfg'):
            raise ValueError(
                'BackboneLoss compares by a trained backbone; give its '
                'weights as `checkpoint` or as `init_cfg` of `backbone`.')
        network = nn.Module()
        network.backbone = MODELS.build(backbone)
        network.backbone.init_weights()
        network.norm = (
            input_norm if isinstance(input_norm, InputNorm) else
            InputNorm.from_preprocessor(input_norm))
        super().__init__(network)
        self.unit = unit

    def distance(self, network: nn.Module, x: Tensor, x_hat: Tensor) -> Tensor:
        """See :meth:`PerceptualLoss.distance`; in [0, 4] if ``unit``."""
        features = network.backbone(
            network.norm.from_picture(torch.cat((x, x_hat))))
        if isinstance(features, Tensor):
            features = (features, )
        compare = feature_distance if self.unit else _relative_error
        return sum(map(compare, features)) / len(features)


def _relative_error(features: Tensor) -> Tensor:
    one, other = features.chunk(2)
    error = (one - other).square().mean(dim=(1, 2, 3))
    return error / one.square().mean(dim=(1, 2, 3)).clamp(min=1e-12)
