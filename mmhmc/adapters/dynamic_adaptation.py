"""The dynamic adaptation network g_t (ICIP 2024)."""
from typing import Optional

import torch
from torch import Tensor, nn

from mmhmc.codecs.layers.gain import Gain, Quality, fit_gains
from mmhmc.former_names import former_value
from mmhmc.part_weights import WholeModule
from mmhmc.registry import MODELS


class ResidualBlock(nn.Module):
    """RB: 1x1, ReLU, 3x3, ReLU, 1x1 convolution, and the input added.

    Args:
        width: Channels N; the inner layers have N / 2.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.layers = nn.Sequential(
            nn.Conv2d(width, half, 1), nn.ReLU(inplace=True),
            nn.Conv2d(half, half, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(half, width, 1))

    def forward(self, t: Tensor) -> Tensor:
        """(B, N, H, W) to the same shape."""
        return t + self.layers(t)


class AttentionBlock(nn.Module):
    """AB: three RB times the sigmoid of three RB and a 1x1, input added.

    Args:
        width: Channels N.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.main = nn.Sequential(*(ResidualBlock(width) for _ in range(3)))
        self.mask = nn.Sequential(*(ResidualBlock(width) for _ in range(3)),
                                  nn.Conv2d(width, width, 1), nn.Sigmoid())

    def forward(self, t: Tensor) -> Tensor:
        """(B, N, H, W) to the same shape."""
        return t + self.main(t) * self.mask(t)


@MODELS.register_module()
class DynamicAdaptation(WholeModule):
    """g_t: adapts the decoded image for a machine, at no cost in bits.

    .. code-block:: none

        x_hat ─┬─► 5x5 ─► RB ─► RB ─► AB ─► RB ─► RB ─► 5x5 ─► + ─► x_bar
               └───────────────────────────────────────────────┘

    The last layer is initialised with zeros, so that x_bar is x_hat at first.

    With ``num_qualities`` one g_t serves every rate of a codec: gains of the
    quality, for each channel, stand behind the first layer and before the
    last one. They are 1 at first, and weights without them load.

    Differences from the paper: it does not give width and strides; here the
    width is an argument and all strides are 1. The paper's figure places g_t
    after the decoded image, the text of its repository after the latent:
    ``placement`` offers both. The initialisation with zeros is ours.

    Reference:
        L. Zhu, B. Li, R. Lu, P. Chen, Q. Mao, Z. Wang, W. Yang, S. Wang:
        "Learned Image Compression for Both Humans and Machines via Dynamic
        Adaptation", ICIP 2024; after the figure ``framework.png`` of
        https://github.com/lingyzhu0101/Compression_ICIP_2024

    Args:
        width: Channels N of the inner layers, even.
        placement: ``'image'``: x_bar = g_t(x_hat); ``'latent'``:
            x_bar = g_s(g_t(y_hat)).
        in_channels: Channels of the input: 3 for an image, or the channels of
            the latent.
        num_qualities: Qualities of the codec, if g_t is to know them; 0 for
            one that does the same at all rates.
        init_cfg: mmengine's initialisation.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(self,
                 width: int = 64,
                 placement: str = 'image',
                 in_channels: int = 3,
                 num_qualities: int = 0,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        if width < 2 or width % 2:
            raise ValueError('`width` must be even and at least 2, got '
                             f'{width}: half of it goes through the blocks.')
        placement = former_value('placement', placement, picture='image')
        if placement not in ('image', 'latent'):
            raise ValueError("`placement` must be 'image' or 'latent', got "
                             f'{placement!r}.')
        if placement == 'image' and in_channels != 3:
            raise ValueError('An image has 3 channels, got `in_channels='
                             f"{in_channels}`; did you mean placement="
                             "'latent'?")
        if not isinstance(num_qualities, int) or num_qualities < 0:
            raise ValueError('`num_qualities` must be a whole number, 0 for '
                             f'none, got {num_qualities!r}.')
        self.placement = placement
        self.in_channels = in_channels
        self.num_qualities = num_qualities
        self.layers = nn.Sequential(
            nn.Conv2d(in_channels, width, 5, padding=2), ResidualBlock(width),
            ResidualBlock(width), AttentionBlock(width), ResidualBlock(width),
            ResidualBlock(width), nn.Conv2d(width, in_channels, 5, padding=2))
        nn.init.zeros_(self.layers[-1].weight)
        nn.init.zeros_(self.layers[-1].bias)
        if num_qualities:
            self.entering = Gain(num_qualities, width)
            self.leaving = Gain(num_qualities, width)

    @property
    def controls(self) -> tuple[str, ...]:
        """Run-time controls that ``forward`` takes."""
        return ('quality', ) if self.num_qualities else ()

    @property
    def changes_nothing(self) -> bool:
        """Whether the last layer is still all zeros."""
        last = self.layers[-1]
        return not (last.weight.any() or last.bias.any())

    def forward(self, t: Tensor, quality: Quality | None = None) -> Tensor:
        """Adapt an image or a latent.

        Args:
            t: ``x_hat`` (B, 3, H, W) or ``y_hat`` (B, M, h, w).
            quality: With which it was coded; one for all images, or one for
                each of them. None leaves the gains out.

        Returns:
            Same shape, float32, not clamped.
        """
        first, *blocks, last = self.layers
        hidden = first(t)
        if self.num_qualities:
            hidden = self.entering(hidden, quality)
        for block in blocks:
            hidden = block(hidden)
        if self.num_qualities:
            hidden = self.leaving(hidden, quality)
        change = last(hidden)
        with torch.autocast(t.device.type, enabled=False):
            return t.float() + change.float()

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        fit_gains(self, state_dict, prefix, ('gains', ), self.num_qualities,
                  '')
        super()._load_from_state_dict(state_dict, prefix, *args)
