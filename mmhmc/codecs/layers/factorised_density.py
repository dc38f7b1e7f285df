"""Densities of a hyper-latent that is coded channel by channel."""
import torch
from torch import Tensor, nn

from mmhmc.functional import bound

#: A likelihood below it counts as it.
_LEAST_LIKELIHOOD = 1e-9
#: Share of the mass on either side that has no entry in a table: a 16th of
#: what the rarest symbol of a table is given.
_TAIL = 2.0**-20
#: What frequencies of a table sum to.
_TOTAL = 1 << 16
#: No sensible latent is beyond it, and steps that halve it to one.
_FARTHEST, _HALVINGS = 2.0**16, 40


class FactorisedDensity(nn.Module):
    """A learned density for each quality and channel.

    Its cumulative is the logistic function of four layers, each a positive
    slope and an offset, all but the last with ``v + tanh(a) tanh(v)``. What
    is coded is rounded to integers; there are no quantiles to be learned.

    Args:
        num_qualities: Qualities Q.
        channels: Channels C of the latent.

    Reference:
        J. Ballé, D. Minnen, S. Singh, S. J. Hwang, N. Johnston: "Variational
        image compression with a scale hyperprior", ICLR 2018, appendix 6.1,
        with layers of one unit. https://arxiv.org/abs/1802.01436
    """

    def __init__(self, num_qualities: int, channels: int) -> None:
        super().__init__()
        self.num_qualities, self.channels = num_qualities, channels
        for name, count in (('matrices', 4), ('biases', 4), ('factors', 3)):
            values = torch.randn(count, num_qualities, channels) / 100
            self.register_parameter(name, nn.Parameter(values))
        for name in ('_quantized_cdf', '_offset', '_cdf_length'):
            self.register_buffer(name, torch.empty(0, dtype=torch.int32))

    def forward(self, z: Tensor, rows: Tensor) -> Tensor:
        """Likelihoods of latents, those of integers or with noise.

        Args:
            z: Shape (B, C, h, w).
            rows: Quality of each image, counted from 0, int64, shape (B,) or
                (1,).

        Returns:
            In (0, 1], shape (B, C, h, w).
        """
        parts = [
            part.index_select(1, rows)[..., None, None]
            for part in (self.matrices, self.biases, self.factors)
        ]
        # On the side where the logistic function is small it is exact.
        lower, upper = (_logits(z + half, *parts) for half in (-0.5, 0.5))
        sign = -(lower + upper).detach().sign()
        mass = (torch.sigmoid(sign * upper) - torch.sigmoid(sign * lower))
        mass = mass.abs()
        least = torch.full_like(mass, _LEAST_LIKELIHOOD)
        return bound(mass, least, torch.ones_like(mass))

    def indexes(self, row: int, size: tuple[int, int]) -> Tensor:
        """Table of each symbol of a latent (1, C, h, w), int32, (C h w,).

        Args:
            row: Quality, counted from 0.
            size: Height h and width w.
        """
        channels = torch.arange(
            self.channels, dtype=torch.int32, device=self.matrices.device)
        channels = channels + row * self.channels
        return channels.repeat_interleave(size[0] * size[1])

    @torch.no_grad()
    def update(self) -> None:
        """Make a table for each quality and channel, in this order.

        Raises:
            ValueError: If a weight is not finite.
        """
        parts = [
            part.detach().double().flatten(1)
            for part in (self.matrices, self.biases, self.factors)
        ]
        if not all(part.isfinite().all() for part in parts):
            raise ValueError('The density of the hyper-latent has non-finite '
                             'weights; no tables can be made. Check the '
                             "codec's weights.")
        first = _quantile(_TAIL, parts).round()
        count = (_quantile(1 - _TAIL, parts).round() - first).long() + 1
        steps = torch.arange(int(count.max()) + 1, device=first.device)
        borders = first[:, None] + torch.minimum(steps, count[:, None]) - 0.5
        mass = torch.sigmoid(_logits(borders.T, *parts)).T
        mass = mass - mass[:, :1]
        # One for each symbol and the escape, the rest by mass.
        free = _TOTAL - 1 - count[:, None]
        cdf = (mass * free).floor() + torch.minimum(steps, count[:, None])
        self._cdf_length = (count + 2).int()
        self._offset = first.int()
        place = torch.arange(cdf.shape[1] + 1, device=cdf.device)
        last = count[:, None] + 1
        cdf = nn.functional.pad(cdf, (0, 1))
        # Zeros behind the end of each row, as CompressAI has them.
        cdf = torch.where(place < last, cdf, _TOTAL * (place == last))
        self._quantized_cdf = cdf.int()


def _logits(v: Tensor, matrices: Tensor, biases: Tensor,
            factors: Tensor) -> Tensor:
    """Logit of the cumulative at values that fit one entry of each part."""
    for i, (matrix, bias) in enumerate(zip(matrices, biases)):
        v = v * nn.functional.softplus(matrix) + bias
        if i < len(factors):
            v = v + factors[i].tanh() * v.tanh()
    return v


def _quantile(share: float, parts: list[Tensor]) -> Tensor:
    """Where the cumulative reaches a share, by bisection, shape (n,)."""
    low = torch.full_like(parts[0][0], -_FARTHEST)
    high = -low
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        reached = torch.sigmoid(_logits(middle, *parts)) >= share
        low, high = (torch.where(reached, low,
                                 middle), torch.where(reached, middle, high))
    return high
