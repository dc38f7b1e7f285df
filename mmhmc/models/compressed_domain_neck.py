"""A codec's latent as the feature maps that a host's heads expect."""
from collections.abc import Sequence
from math import log2

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmhmc.functional import crop_to
from mmhmc.registry import MODELS
from .latent_backbone import LatentFeatures


@MODELS.register_module()
class CompressedDomainNeck(BaseModule):
    """Feature maps of several strides, or a vector, from one latent.

    .. code-block:: none

                                       ┌─► up ─┬─► up ─► conv ─► stride 4
        y_hat ─► conv ─► residual ─────┤       └───────► conv ─► stride 8
                          blocks       ├───────────────► conv ─► stride 16
                                       └─► down ┬──────► conv ─► stride 32
                                                └► down ► conv ► stride 64

    Up is a 2x2 transposed convolution that halves the channels, down a 3x3
    convolution with stride 2. Only the layers that ``strides`` need are built.
    As in Torfason et al., the network begins where a ResNet has reached the
    latent's stride. The pyramid is that of Li et al. with batch normalisation,
    and its levels share their first layers. The size of a level is
    ``ceil(canvas / stride)``, as of a host's FPN.

    Reference:
        R. Torfason, F. Mentzer, E. Agustsson, M. Tschannen, R. Timofte, L.
        Van Gool: "Towards Image Understanding from Deep Compression without
        Decoding", ICLR 2018. https://arxiv.org/abs/1803.06131

        Y. Li, H. Mao, R. Girshick, K. He: "Exploring Plain Vision Transformer
        Backbones for Object Detection", ECCV 2022.
        https://arxiv.org/abs/2203.16527

    Args:
        in_channels: Channels M of the latent, ``latent_channels`` of the
            codec.
        out_channels: Channels of each map, or of the vector.
        strides: Stride in pixels of each map, rising: ``(4, 8, 16, 32, 64)``
            for a detector, ``(8, )`` for a segmentor; None for the vector of
            a classifier, the mean over all positions.
        num_blocks: Residual blocks of two 3x3 convolutions at the stride of
            the latent.
        latent_stride: Stride of the latent in pixels.
        init_cfg: mmengine's initialisation.

    Raises:
        ValueError: If a number is out of range, or strides do not rise or
            cannot be reached by doubling and halving.
    """

    def __init__(self,
                 in_channels: int,
                 out_channels: int,
                 strides: Sequence[int] | None = (4, 8, 16, 32, 64),
                 num_blocks: int = 3,
                 latent_stride: int = 16,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        if min(in_channels, out_channels, latent_stride) < 1 or num_blocks < 0:
            raise ValueError(
                '`in_channels`, `out_channels` and `latent_stride` must be '
                'positive and `num_blocks` not negative, got '
                f'{in_channels}, {out_channels}, {latent_stride} and '
                f'{num_blocks}.')
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.latent_stride = latent_stride
        self.strides = None if strides is None else tuple(strides)
        self.stem = nn.Sequential(
            _conv(in_channels, out_channels),
            *(_ResidualBlock(out_channels) for _ in range(num_blocks)))
        if self.strides is not None:
            self._build_levels(_octaves(self.strides, latent_stride))

    def _build_levels(self, octaves: list[int]) -> None:
        """Build the layers up and down, and a convolution for each level."""

        def width(octave: int) -> int:
            return max(1, self.out_channels >> max(0, -octave))

        self.octaves = octaves
        self.ups = nn.ModuleList(
            nn.Sequential(
                nn.ConvTranspose2d(
                    width(-i), width(-i - 1), 2, stride=2, bias=False),
                nn.BatchNorm2d(width(-i - 1)), nn.ReLU(inplace=True))
            for i in range(max(0, -octaves[0])))
        self.downs = nn.ModuleList(
            _conv(self.out_channels, self.out_channels, stride=2)
            for _ in range(max(0, octaves[-1])))
        self.levels = nn.ModuleList(
            nn.Conv2d(width(o), self.out_channels, 3, padding=1)
            for o in octaves)

    def forward(
            self,
            inputs: LatentFeatures | Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Compute the maps, or the vector.

        Args:
            inputs: From a ``LatentBackbone``; or any sequence whose last item
                is the latent (B, M, h, w), for a canvas of ``(h, w)`` times
                the latent's stride.

        Returns:
            For each stride a map, shape (B, out_channels, ceil(H / stride),
            ceil(W / stride)) for a canvas (H, W); or one vector
            (B, out_channels).

        Raises:
            ValueError: If the latent has other channels.
        """
        y_hat = inputs[-1]
        if y_hat.ndim != 4 or y_hat.shape[1] != self.in_channels:
            raise ValueError(
                f'The latent has shape {tuple(y_hat.shape)}, expected (B, '
                f'{self.in_channels}, h, w). Set `in_channels` of the neck to '
                '`latent_channels` of the codec.')
        x = self.stem(y_hat)
        if self.strides is None:
            return (x.mean(dim=(2, 3)), )
        canvas = getattr(inputs, 'canvas', None)
        if canvas is None:
            canvas = [side * self.latent_stride for side in y_hat.shape[-2:]]
        scaled = {0: x}
        for i, up in enumerate(self.ups):
            stride = self.latent_stride >> (i + 1)
            size = [-(-side // stride) for side in canvas]
            scaled[-i - 1] = crop_to(up(scaled[-i]), size)
        for i, down in enumerate(self.downs):
            scaled[i + 1] = down(scaled[i])
        return tuple(
            level(scaled[o]) for level, o in zip(self.levels, self.octaves))


class _ResidualBlock(nn.Module):
    """Basic block of He et al. (2016), same size in and out."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _conv(channels, channels),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Shape (B, C, h, w), not negative."""
        return (x + self.layers(x)).relu()


def _conv(in_channels: int, out_channels: int, stride: int = 1) -> nn.Module:
    """3x3 convolution, batch normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True))


def _octaves(strides: Sequence[int], latent_stride: int) -> list[int]:
    """Number of halvings of the latent for each stride."""
    if not strides or list(strides) != sorted(set(strides)):
        raise ValueError('`strides` must be one or more rising numbers, or '
                         f'None for a vector; got {tuple(strides)}.')
    octaves = [
        log2(stride / latent_stride) if stride > 0 else 0.5
        for stride in strides
    ]
    if any(octave % 1 for octave in octaves):
        raise ValueError(
            f'`strides` must be {latent_stride}, the stride of the latent, '
            'doubled or halved some times, e.g. (4, 8, 16, 32, 64); got '
            f'{tuple(strides)}.')
    return [int(octave) for octave in octaves]
