"""Strided convolutions in place of a codec's encoder."""
from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmhmc.registry import MODELS


@MODELS.register_module()
class ImageStem(BaseModule):
    """Strided convolutions: a backbone in place of a codec's encoder.

    The neck and heads that follow a ``LatentBackbone`` can follow it, too. So
    it is the reference for analysis in the compressed domain: their accuracy
    on uncompressed images. Each 3x3 convolution halves the sides and is
    followed by batch normalisation and ReLU, but for the last one.

    Args:
        widths: Output channels of each convolution; the stride of the map is
            2 to the power of their number.
        init_cfg: mmengine's initialisation.

    Raises:
        ValueError: If there is no width, or one is not positive.
    """

    def __init__(self,
                 widths: Sequence[int] = (64, 128, 128, 112),
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        if not widths or min(widths) < 1:
            raise ValueError('`widths` must be one or more positive numbers, '
                             f'got {tuple(widths)}.')
        *hidden, last = widths
        layers = []
        for before, width in zip((3, *hidden), hidden):
            layers += [
                nn.Conv2d(before, width, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True)
            ]
        before = hidden[-1] if hidden else 3
        layers.append(nn.Conv2d(before, last, 3, stride=2, padding=1))
        self.layers = nn.Sequential(*layers)

    def forward(self, inputs: Tensor) -> tuple[Tensor]:
        """Compute one feature map.

        Args:
            inputs: Images as the host normalises them, (B, 3, H, W).

        Returns:
            Shape (B, C, ceil(H / s), ceil(W / s)).
        """
        return (self.layers(inputs), )
