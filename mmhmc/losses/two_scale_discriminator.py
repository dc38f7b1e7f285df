"""A conditional patch discriminator at two scales."""
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from mmhmc.registry import MODELS

#: Details of photographs have about an eighth of the contrast.
_DETAIL_GAIN = 8.


@MODELS.register_module()
class TwoScaleDiscriminator(nn.Module):
    """Judges for patches at two scales whether they are originals.

    .. code-block:: none

        y_hat ─► / RMS ─► Conv1 ─► bilinear ┐
                                            ├─┬────────► stages ─► D1
        x or x_hat ─┬───────────────────────┤ └─► / 2 ─► stages ─► D2
                    └─► less its mean ──────┘
        stages = (Conv4, SN, LeakyReLU)*

    Each scale has its own weights. All convolutions are spectrally normalised,
    and all hidden ones but the last halve the sides. The network also sees the
    quantised latent, or for a codec with layers its first channels: the
    semantic layer of a ``LayeredGenerative``. It is divided by its root mean
    square; several times larger than the image, it would hide it. Decoded
    images lack details first of all, so these are shown alone, too: each pixel
    less the mean of the 5x5 around it.

    Reference:
        That of :func:`feature_matching_loss`, with spectral instead of
        instance normalisation (T. Miyato et al.: "Spectral Normalization for
        Generative Adversarial Networks", ICLR 2018,
        https://arxiv.org/abs/1802.05957). Details beside what they belong to:
        E. Denton et al.: "Deep Generative Image Models using a Laplacian
        Pyramid of Adversarial Networks", NeurIPS 2015,
        https://arxiv.org/abs/1506.05751

    Args:
        latent_channels: Channels M of ``y_hat``.
        seen_channels: Number of latent channels that it sees, from the first;
            all if left out.
        context_channels: Channels to which they are reduced.
        hidden_channels: Channels of the hidden convolutions.

    Raises:
        ValueError: If there are fewer than two hidden convolutions, or the
            latent has fewer channels.
    """

    def __init__(
        self,
        latent_channels: int,
        seen_channels: int | None = None,
        context_channels: int = 12,
        hidden_channels: Sequence[int] = (64, 128, 256, 512)
    ) -> None:
        super().__init__()
        seen = latent_channels if seen_channels is None else seen_channels
        if len(hidden_channels) < 2 or not 0 < seen <= latent_channels:
            raise ValueError(
                '`hidden_channels` must have two numbers or more and '
                f'`seen_channels` be from 1 to {latent_channels}, got '
                f'{tuple(hidden_channels)} and {seen_channels}.')
        self.seen_channels = seen
        self.context = nn.Conv2d(seen, context_channels, 1)
        self.scales = nn.ModuleList(
            _stages(6 + context_channels, hidden_channels) for _ in range(2))

    def forward(self,
                images: Tensor,
                y_hat: Tensor,
                quality: int = 1) -> Tensor:
        """As :meth:`PatchDiscriminator.forward`, for one quality and any size.

        The logits, shape (B, 2, h', w'), are those of both scales. Those of
        the coarse scale are repeated, so that in a mean both count alike.

        Raises:
            ValueError: If ``quality`` is not 1.
        """
        if quality != 1:
            raise ValueError('A TwoScaleDiscriminator judges one rate, '
                             f'`quality` must be 1, got {quality}.')
        return self.judge(images, y_hat)[0]

    def judge(self, images: Tensor,
              y_hat: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits as of :meth:`forward`, and features.

        These are the outputs (B, C, h', w') of all hidden layers of both
        scales.
        """
        y_hat = y_hat[:, :self.seen_channels].detach()
        size = y_hat.square().mean((1, 2, 3), keepdim=True).sqrt()
        context = nn.functional.interpolate(
            self.context(y_hat / size.clamp(min=1e-6)),
            images.shape[-2:],
            mode='bilinear')
        seen = torch.cat((2 * images - 1, _details(images), context.to(
            images.dtype)), 1)
        fine, features = _run(self.scales[0], seen)
        half = nn.functional.avg_pool2d(seen, 2, ceil_mode=True)
        coarse, more = _run(self.scales[1], half)
        coarse = nn.functional.interpolate(coarse, fine.shape[-2:])
        return torch.cat((fine, coarse), dim=1), features + more


def _details(images: Tensor) -> Tensor:
    """Fine structures, about as large as images in [-1, 1] are."""
    means = nn.functional.avg_pool2d(
        images, 5, stride=1, padding=2, count_include_pad=False)
    return _DETAIL_GAIN * (images - means)


def _stages(channels: int, widths: Sequence[int]) -> nn.ModuleList:
    """Hidden layers, then the layer of the logits."""
    strides = [2] * (len(widths) - 1) + [1]
    stages = [
        nn.Sequential(_conv(before, after, stride), nn.LeakyReLU(0.2))
        for before, after, stride in zip((channels, *widths), widths, strides)
    ]
    return nn.ModuleList([*stages, _conv(widths[-1], 1, 1)])


def _conv(before: int, after: int, stride: int) -> nn.Module:
    return spectral_norm(nn.Conv2d(before, after, 4, stride, padding=2))


def _run(stages: nn.ModuleList, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    features = []
    for stage in stages:
        x = stage(x)
        features.append(x)
    return x, features[:-1]
