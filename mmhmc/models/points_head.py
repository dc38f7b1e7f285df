"""A head that finds points of an image, e.g. of a face."""
from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from mmhmc.registry import MODELS


@MODELS.register_module()
class PointsHead(BaseModule):
    """Two layers from a vector to coordinates, for mmpretrain's classifiers.

    Its loss is the absolute difference to ``gt_score`` of the data samples.
    It predicts ``pred_score``: column and row of each point, divided by width
    and height.

    Args:
        in_channels: Channels of the vector.
        num_points: Number P of points.
        hidden_channels: Channels of the hidden layer.
        init_cfg: mmengine's initialisation.
    """

    def __init__(self,
                 in_channels: int,
                 num_points: int = 5,
                 hidden_channels: int = 128,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.layers = nn.Sequential(
            nn.Linear(in_channels, hidden_channels), nn.ReLU(inplace=True),
            nn.Linear(hidden_channels, 2 * num_points))
        # Begin in the middle of the image.
        nn.init.constant_(self.layers[-1].bias, 0.5)

    def forward(self, feats: Sequence[Tensor]) -> Tensor:
        """Coordinates (B, 2 P) from the last of the vectors (B, C)."""
        return self.layers(feats[-1])

    def loss(self, feats: Sequence[Tensor],
             data_samples: Sequence) -> dict[str, Tensor]:
        """Mean absolute difference.

        Args:
            feats: Vectors (B, C); the last one is used.
            data_samples: With ``gt_score``, shape (2 P,).

        Raises:
            ValueError: If samples have another number of points.
        """
        found = self(feats).float()
        wanted = torch.stack([s.gt_score for s in data_samples]).to(found)
        if wanted.shape != found.shape:
            raise ValueError(
                f'This head finds {found.shape[1] // 2} points, the data '
                f'samples have {wanted.shape[1] / 2:g}: set `num_points`.')
        return dict(loss=(found - wanted).abs().mean())

    def predict(self,
                feats: Sequence[Tensor],
                data_samples: Sequence | None = None) -> Sequence:
        """Data samples, or new ones, with ``pred_score``, shape (2 P,)."""
        if data_samples is None:
            data_samples = [BaseDataElement() for _ in feats[-1]]
        for sample, points in zip(data_samples, self(feats).float()):
            sample.set_field(points, 'pred_score')
        return data_samples
