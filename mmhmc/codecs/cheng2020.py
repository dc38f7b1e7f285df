"""Codecs of Cheng et al. (2020): residual blocks, sub-pixel, attention."""
from typing import Optional

from torch import Tensor, nn

from mmhmc.registry import MODELS
from .mbt2018 import JointAutoregressive


@MODELS.register_module()
class Cheng2020Anchor(JointAutoregressive):
    """Residual-block codec of Cheng et al. (2020), without attention.

    Data flow as in :class:`JointAutoregressive`. Network, entropy models and
    weights are CompressAI's ``cheng2020-anchor``. Notation:
    ``hidden_channels`` is the paper's N; the latent has as many channels.

    Differences from the paper: one Gaussian instead of a mixture of three (as
    CompressAI); wavefronts and solved quantiles as in
    :class:`JointAutoregressive`.

    Reference:
        Z. Cheng, H. Sun, M. Takeuchi, J. Katto: "Learned Image Compression
        with Discretized Gaussian Mixture Likelihoods and Attention Modules",
        CVPR 2020. https://arxiv.org/abs/2001.01568

    Args:
        hidden_channels: Channels of the transforms and of the latent.
        latent_channels: None or equal to ``hidden_channels``.
        init_cfg: mmengine's initialisation.

    Raises:
        ValueError: If a channel count is not positive, or the two differ.
    """

    codec_id = 'cheng2020'
    receptive_radius = 112
    tile_size = 512

    def __init__(self,
                 hidden_channels: int = 192,
                 latent_channels: Optional[int] = None,
                 init_cfg: Optional[dict] = None) -> None:
        if latent_channels not in (None, hidden_channels):
            raise ValueError(
                f'{type(self).__name__} has as many latent as hidden channels;'
                f' got {latent_channels} and {hidden_channels}. Leave '
                '`latent_channels` out.')
        super().__init__(hidden_channels, hidden_channels, init_cfg)

    @staticmethod
    def build_network(hidden_channels: int, latent_channels: int) -> nn.Module:
        """CompressAI's network, whose parts are taken."""
        from compressai.models import Cheng2020Anchor as Network
        return Network(hidden_channels)


@MODELS.register_module()
class Cheng2020Attention(Cheng2020Anchor):
    """Codec of Cheng et al. (2020) with simplified attention modules.

    The base codec of the dynamic-adaptation paper. Network, entropy models
    and weights are CompressAI's ``cheng2020-attn``; arguments, differences
    and reference as in :class:`Cheng2020Anchor`.
    """

    codec_id = 'cheng2020-a'
    receptive_radius = 176

    @staticmethod
    def build_network(hidden_channels: int, latent_channels: int) -> nn.Module:
        """CompressAI's network, whose parts are taken."""
        from compressai.models import Cheng2020Attention as Network
        network = Network(hidden_channels)
        name_residual_units(network)
        return network


class ResidualUnit(nn.Module):
    """Unit of CompressAI's attention block, with its parameters.

    CompressAI defines the class inside a function, where pickle does not find
    it; this one can go when that is mended.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, H, W) to the same shape."""
        return self.relu(self.conv(x) + x)


def name_residual_units(network: nn.Module) -> None:
    """Make the attention blocks of CompressAI's layers fit for pickle."""
    from compressai.layers import AttentionBlock
    for block in network.modules():
        if isinstance(block, AttentionBlock):
            for unit in (*block.conv_a, *block.conv_b[:-1]):
                unit.__class__ = ResidualUnit
