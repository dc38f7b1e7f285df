"""Residual blocks of neighbourhood attention, and gains of several rates."""
import torch
from torch import Tensor, nn

from .gain import Quality, gains_at
from .neighbourhood_attention import NeighbourhoodAttention

#: Channels of each head.
HEAD_CHANNELS = 16


class TransformerBlock(nn.Module):
    """Attention, then a two-layer network for each position, both residual.

    A quality is in [1, Q], or None for a block without gains.

    Args:
        dim: Channels C, a multiple of 16, the channels of a head.
        kernel_size: Side of the attention's window.
        drop_path: Chance in training that an image skips a residual branch.
        num_qualities: Qualities Q, each with gains for both branches; 0 for
            a block without gains.
    """

    def __init__(self,
                 dim: int,
                 kernel_size: int,
                 drop_path: float = 0.,
                 num_qualities: int = 0) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = NeighbourhoodAttention(dim, dim // HEAD_CHANNELS,
                                           kernel_size)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = make_mlp(dim, 2 * dim)
        self.drop_path = drop_path
        if num_qualities:
            self.gamma_1 = nn.Parameter(torch.ones(num_qualities, dim))
            self.gamma_2 = nn.Parameter(torch.ones(num_qualities, dim))
        initialise_linear(self)

    def forward(self, x: Tensor, quality: Quality | None = None) -> Tensor:
        """Both branches added to ``x`` (B, H, W, C)."""
        x = self.attend(x, quality)
        return x + self.refine(x, quality)

    def attend(self, x: Tensor, quality: Quality | None = None) -> Tensor:
        """The first branch added to ``x`` (B, H, W, C)."""
        branch = self.attn(self.norm1(x))
        return x + self._finish(branch, 'gamma_1', quality)

    def refine(self,
               x: Tensor,
               quality: Quality | None = None,
               path: nn.Module | None = None) -> Tensor:
        """The second branch alone, of any positions (B, ..., C).

        A ``path`` is a network in place of norm and MLP.
        """
        branch = self.mlp(self.norm2(x)) if path is None else path(x)
        return self._finish(branch, 'gamma_2', quality)

    def _finish(self, branch: Tensor, gamma: str,
                quality: Quality | None) -> Tensor:
        """Gains, then stochastic depth of Huang et al. (2016), by image."""
        if quality is not None:
            gain = gains_at(getattr(self, gamma), quality)
            gain = gain.view(-1, *[1] * (branch.ndim - 2), gain.shape[-1])
            # A float32 gain would make all later layers float32.
            branch = branch * gain.to(branch.dtype)
        if not (self.training and self.drop_path):
            return branch
        kept = torch.rand(len(branch), device=branch.device) >= self.drop_path
        kept = kept.view(-1, *[1] * (branch.ndim - 1))
        return branch * kept / (1 - self.drop_path)


class AttentionStage(nn.Module):
    """Blocks of one resolution, and a residual around them all.

    Args:
        dim: Channels C, a multiple of 16.
        kernel_size: Side of the attention's window.
        drop_path: For each block, see :class:`TransformerBlock`.
        num_qualities: See :class:`TransformerBlock`.
    """

    #: Arguments of ``forward`` besides the map.
    controls: tuple[str, ...] = ('quality', )

    def __init__(self,
                 dim: int,
                 kernel_size: int,
                 drop_path: list[float],
                 num_qualities: int = 0) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            TransformerBlock(dim, kernel_size, rate, num_qualities)
            for rate in drop_path)

    def forward(self, x: Tensor, quality: Quality | None = None) -> Tensor:
        """Run the blocks on ``x`` (B, C, H, W)."""
        tokens = x.permute(0, 2, 3, 1)
        for block in self.blocks:
            tokens = block(tokens, quality)
        return tokens.permute(0, 3, 1, 2) + x


class Transform(nn.Sequential):
    """A sequence of layers, some of which take run-time controls.

    A layer lists its controls in an attribute ``controls``. Without controls
    stages run without gains.
    """

    @property
    def controls(self) -> tuple[str, ...]:
        """The controls of all layers."""
        return tuple(
            dict.fromkeys(
                name for layer in self
                for name in getattr(layer, 'controls', ())))

    def forward(self, x: Tensor, **controls) -> Tensor:
        """Run the layers on ``x`` (B, C, H, W)."""
        for layer in self:
            x = layer(x, **known_controls(layer, controls))
        return x


def known_controls(layer: nn.Module, controls: dict) -> dict:
    """The controls that a layer lists in its attribute ``controls``."""
    names = getattr(layer, 'controls', ())
    return {name: controls[name] for name in names if name in controls}


def make_mlp(dim: int, hidden_channels: int) -> nn.Sequential:
    """Two linear layers with a GELU between, from and to ``dim`` channels."""
    return nn.Sequential(
        nn.Linear(dim, hidden_channels), nn.GELU(),
        nn.Linear(hidden_channels, dim))


def initialise_linear(module: nn.Module) -> None:
    """Start all linear layers with a small spread, and zero bias."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
