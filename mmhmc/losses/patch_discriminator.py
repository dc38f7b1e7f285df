"""The conditional patch discriminator of HiFiC."""
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from mmhmc.registry import MODELS


@MODELS.register_module()
class PatchDiscriminator(nn.Module):
    """Judges for each patch of 16x16 pixels whether it is an original.

    .. code-block:: none

        y_hat ─► Conv3 ─► LeakyReLU ─► nearest x16 ─┐
                                                    ├─► 4 x (Conv4 / 2, SN,
        x or x_hat ─────────────────────────────────┘    LeakyReLU) ─► Conv1

    Like the decoder, it sees the quantised latent. Each quality has a copy of
    the network, since artefacts of decoded images depend on the rate. Padding
    reflects; weights are drawn with a standard deviation of 0.02.

    Reference:
        F. Mentzer, G. Toderici, M. Tschannen, E. Agustsson: "High-Fidelity
        Generative Image Compression", NeurIPS 2020.
        https://arxiv.org/abs/2006.09965, with strides and head as in the
        multi-path aggregation codec (MPA).

    Args:
        latent_channels: Channels of ``y_hat``.
        num_qualities: Number of copies.
        context_channels: Channels that the latent is reduced to.
        hidden_channels: Channels of the strided convolutions; each halves the
            sides.

    Raises:
        ValueError: If there is no copy or no strided convolution.
    """

    def __init__(
        self,
        latent_channels: int = 320,
        num_qualities: int = 1,
        context_channels: int = 12,
        hidden_channels: Sequence[int] = (64, 128, 256, 512)
    ) -> None:
        super().__init__()
        if num_qualities < 1 or not hidden_channels:
            raise ValueError(
                '`num_qualities` and the number of `hidden_channels` must be '
                f'positive, got {num_qualities} and {len(hidden_channels)}.')
        self.patch_size = 2**len(hidden_channels)
        self.copies = nn.ModuleList(
            _Copy(latent_channels, context_channels, hidden_channels)
            for _ in range(num_qualities))

    def forward(self,
                images: Tensor,
                y_hat: Tensor,
                quality: int = 1) -> Tensor:
        """Judge images.

        Args:
            images: Originals or decoded images, RGB, nominally in [0, 1],
                shape (B, 3, H, W), sides multiples of the patch size.
            y_hat: Latent of each, shape (B, M, h, w); no gradient goes there.
            quality: Which copy judges, from 1.

        Returns:
            Logits, above 0 for an original, shape (B, 1, H/16, W/16).

        Raises:
            ValueError: If there is no such copy, or a side does not fit.
        """
        if quality not in range(1, len(self.copies) + 1):
            raise ValueError(f'`quality` must be an integer from 1 to '
                             f'{len(self.copies)}, got {quality}.')
        size = tuple(images.shape[-2:])
        if any(side % self.patch_size for side in size):
            raise ValueError(f'`images` have size {size}; both sides must '
                             f'be multiples of {self.patch_size}.')
        return self.copies[int(quality) - 1](images, y_hat.detach())


class _Copy(nn.Module):
    """The discriminator of one quality."""

    def __init__(self, latent_channels: int, context_channels: int,
                 hidden_channels: Sequence[int]) -> None:
        super().__init__()
        self.context = nn.Sequential(
            _conv(latent_channels, context_channels, 3), nn.LeakyReLU(0.2))
        layers = []
        widths = (3 + context_channels, *hidden_channels)
        for before, width in zip(widths, hidden_channels):
            layers.append(spectral_norm(_conv(before, width, 4, stride=2)))
            layers.append(nn.LeakyReLU(0.2))
        self.layers = nn.Sequential(*layers)
        self.head = _conv(widths[-1], 1, 1)

    def forward(self, images: Tensor, y_hat: Tensor) -> Tensor:
        context = nn.functional.interpolate(
            self.context(y_hat), images.shape[-2:], mode='nearest')
        return self.head(self.layers(torch.cat((images, context), dim=1)))


def _conv(before: int, after: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    conv = nn.Conv2d(
        before,
        after,
        kernel,
        stride,
        padding=(kernel - 1) // 2,
        padding_mode='reflect')
    nn.init.normal_(conv.weight, std=0.02)
    nn.init.zeros_(conv.bias)
    return conv
