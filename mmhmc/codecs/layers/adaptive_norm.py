"""Layers of a synthesis that is conditioned on a style."""
import torch
from torch import Tensor, nn

#: Ways to condition a block on a style.
FUSIONS = ('adain', 'concat')


class AdaptiveInstanceNorm(nn.Module):
    """Instance normalisation whose scale and shift follow a style.

    ``x_norm * (1 + scale) + shift``, both from one pointwise layer over the
    style and LeakyReLU, as in the published code of conceptual compression. A
    style of one position is the AdaIN of Huang and Belongie; one with more
    positions works on the part of ``x`` that each covers.

    Reference:
        X. Huang, S. Belongie: "Arbitrary Style Transfer in Real-Time with
        Adaptive Instance Normalization", ICCV 2017.
        https://arxiv.org/abs/1703.06868
        J. Chang et al.: "Conceptual Compression via Deep Structure and
        Texture Synthesis", IEEE TIP 2022. https://arxiv.org/abs/2011.04976

    Args:
        channels: Channels C of ``x``.
        style_channels: Channels S of the style.
    """

    def __init__(self, channels: int, style_channels: int) -> None:
        super().__init__()
        self.out_channels = channels
        self.style = nn.Conv2d(style_channels, 2 * channels, 1)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Normalise x (B, C, H, W) by a style (B, S, h, w).

        The sides h and w divide H and W.
        """
        both = nn.functional.leaky_relu(self.style(style), 0.2)
        scale, shift = _over(both, x).chunk(2, dim=1)
        return nn.functional.instance_norm(x) * (1 + scale) + shift


class ConcatenatedStyle(nn.Module):
    """Instance normalisation, then the style as further channels.

    Args:
        channels: Channels C of ``x``.
        style_channels: Channels S of the style.
    """

    def __init__(self, channels: int, style_channels: int) -> None:
        super().__init__()
        self.out_channels = channels + style_channels

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """As :class:`AdaptiveInstanceNorm`, but (B, C + S, H, W)."""
        style = _over(style, x).to(x.dtype)
        style = style.expand(-1, -1, *x.shape[-2:])
        return torch.cat((nn.functional.instance_norm(x), style), dim=1)


class StyledUpsampling(nn.Module):
    """Residual block that doubles the sides and takes in a style.

    .. code-block:: none

                 style             style
                   ▼                 ▼
        x ─┬─► fuse, LeakyReLU ─► up, Conv3 ─► fuse, LeakyReLU ─► Conv3 ─┬─►
           └───────────────────► Conv1 ─► up ────────────────────────────┘

    The shortcut is not normalised. In a
    :class:`~mmhmc.codecs.layers.Transform` the style is a control.

    Args:
        in_channels: Channels C of ``x``.
        out_channels: Channels C' of the result.
        style_channels: Channels S of the style.
        fusion: ``'adain'``, :class:`AdaptiveInstanceNorm`; or ``'concat'``,
            :class:`ConcatenatedStyle`.

    Raises:
        ValueError: If ``fusion`` is another.
    """

    controls = ('style', )

    def __init__(self,
                 in_channels: int,
                 out_channels: int,
                 style_channels: int,
                 fusion: str = 'adain') -> None:
        super().__init__()
        if fusion not in FUSIONS:
            raise ValueError(f'`fusion` must be one of {list(FUSIONS)}, got '
                             f'{fusion!r}.')
        fuse = dict(
            adain=AdaptiveInstanceNorm, concat=ConcatenatedStyle)[fusion]
        self.fuse1 = fuse(in_channels, style_channels)
        self.conv1 = nn.Conv2d(
            self.fuse1.out_channels, out_channels, 3, padding=1)
        self.fuse2 = fuse(out_channels, style_channels)
        self.conv2 = nn.Conv2d(
            self.fuse2.out_channels, out_channels, 3, padding=1)
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Shape (B, C', 2 H, 2 W) of x (B, C, H, W), style (B, S, h, w)."""
        out = self.conv1(_twice(_rectify(self.fuse1(x, style))))
        out = self.conv2(_rectify(self.fuse2(out, style)))
        return out + _twice(self.shortcut(x))


class ResidualHalving(nn.Module):
    """Pre-activation residual block that halves the sides by averaging.

    Args:
        in_channels: Channels C of the input.
        out_channels: Channels C' of the result.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, in_channels, 3, padding=1)
        self.conv2 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Shape (B, C', H / 2, W / 2) of (B, C, H, W)."""
        out = self.conv2(_rectify(self.conv1(_rectify(x))))
        return nn.functional.avg_pool2d(out, 2) + self.shortcut(
            nn.functional.avg_pool2d(x, 2))


def _rectify(x: Tensor) -> Tensor:
    return nn.functional.leaky_relu(x, 0.2)


def _twice(x: Tensor) -> Tensor:
    return nn.functional.interpolate(x, scale_factor=2, mode='nearest')


def _over(style: Tensor, x: Tensor) -> Tensor:
    """A style at the positions of ``x``; that of one position broadcasts."""
    if style.shape[-2:] in ((1, 1), x.shape[-2:]):
        return style
    return nn.functional.interpolate(style, x.shape[-2:], mode='nearest')
