"""Codecs of Cheng et al. (2020): residual blocks, sub-pixel, attention."""

from torch import Tensor, nn

from mmhmc.registry import MODELS
from .layers.replacing import replace_layers
from .mbt2018 import JointAutoregressive


@MODELS.register_module()
class Cheng2020Anchor(JointAutoregressive):
    """Residual-block codec of Cheng et al. (2020), without attention.

    Data flow as in :class:`JointAutoregressive`. Network, entropy models and
    weights are CompressAI's ``cheng2020-anchor``. Notation:
    ``hidden_channels`` is the paper's N, which its latent has too.

    Differences from the paper: one Gaussian instead of a mixture of three (as
    CompressAI); wavefronts and solved quantiles as in
    :class:`JointAutoregressive`; the latent may have another number of
    channels. A codec of few hidden channels needs that: with as few latent
    ones its quality is bounded however long it is trained, nearly as in a
    linear transform that keeps as many coefficients of each 16x16 block.

    Reference:
        Z. Cheng, H. Sun, M. Takeuchi, J. Katto: "Learned Image Compression
        with Discretized Gaussian Mixture Likelihoods and Attention Modules",
        CVPR 2020. https://arxiv.org/abs/2001.01568

    Args:
        hidden_channels: Channels of the transforms' hidden layers.
        latent_channels: Channels of the latent ``y``; as many as hidden ones
            if not given.
        **kwargs: The other arguments of :class:`CompressAICodec`.
    """

    codec_id = 'cheng2020'
    receptive_radius = 112
    hidden_maps = 4

    def __init__(self,
                 hidden_channels: int = 192,
                 latent_channels: int | None = None,
                 **kwargs) -> None:
        if latent_channels is None:
            latent_channels = hidden_channels
        super().__init__(hidden_channels, latent_channels, **kwargs)

    @staticmethod
    def build_network(hidden_channels: int, latent_channels: int) -> nn.Module:
        """CompressAI's network, whose parts are taken."""
        from compressai.models import Cheng2020Anchor as Network
        network = Network(hidden_channels)
        if latent_channels != hidden_channels:
            set_latent_channels(network, latent_channels)
        return network


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
        if latent_channels != hidden_channels:
            set_latent_channels(network, latent_channels)
        replace_layers(network, 'ResidualUnit', ResidualUnit)
        return network


def set_latent_channels(network: nn.Module, latent_channels: int) -> None:
    """Replace the layers of CompressAI's network next to the latent.

    Args:
        network: ``Cheng2020Anchor`` or ``Cheng2020Attention`` of CompressAI.
        latent_channels: New number of channels of the latent.
    """
    from compressai.layers import (AttentionBlock, ResidualBlock,
                                   ResidualBlockUpsample, conv3x3)
    from compressai.models import JointAutoregressiveHierarchicalPriors
    hidden = network.N
    attention = int(isinstance(network.g_s[0], AttentionBlock))
    if attention:
        network.g_a[-1] = AttentionBlock(latent_channels)
        network.g_s[0] = AttentionBlock(latent_channels)
    network.g_a[-1 - attention] = conv3x3(hidden, latent_channels, stride=2)
    network.g_s[attention] = ResidualBlock(latent_channels, latent_channels)
    # Fewer channels only after the upsampling: no information is lost.
    network.g_s[attention + 1] = ResidualBlockUpsample(latent_channels, hidden)
    network.h_a[0] = conv3x3(latent_channels, hidden)
    network.h_s[-1] = conv3x3(hidden * 3 // 2, latent_channels * 2)
    priors = JointAutoregressiveHierarchicalPriors(hidden, latent_channels)
    network.context_prediction = priors.context_prediction
    network.entropy_parameters = priors.entropy_parameters


class ResidualUnit(nn.Module):
    """Unit of CompressAI's attention block, with its parameters.

    CompressAI defines the class inside a function, where pickle does not find
    it; this one can go when that is mended.

    Args:
        unit: CompressAI's, whose layers it takes.
    """

    def __init__(self, unit: nn.Module) -> None:
        super().__init__()
        self.conv, self.relu = unit.conv, unit.relu

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, H, W) to the same shape."""
        return self.relu(self.conv(x) + x)
