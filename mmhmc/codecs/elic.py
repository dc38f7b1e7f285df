"""Codec of He et al. (2022): ELIC, uneven groups and a checkerboard."""
import re
from collections.abc import Sequence
from itertools import accumulate

from torch import nn

from mmhmc.registry import MODELS
from .cheng2020 import ResidualUnit
from .layers.checkerboard import ANCHORS, BETWEEN_ANCHORS, MaskedConv2d
from .layers.replacing import replace_layers
from .space_channel_codec import SpaceChannelCodec, channel_context

#: Names in CompressAI's state dicts, by pattern, and the names here.
_NAMES_IN_COMPRESSAI = (
    (r'latent_codec\.hyper\.', ''),
    (r'latent_codec\.y\.channel_context\.', 'channel_context.'),
    (r'latent_codec\.y\.latent_codec\.(y\d+)\.context_prediction\.',
     r'spatial_context.\1.'),
    (r'latent_codec\.y\.latent_codec\.(y\d+)\.entropy_parameters\.',
     r'entropy_parameters.\1.'),
    (r'latent_codec\.y\.latent_codec\.y\d+\.(latent_codec\.)?y\.', ''),
)


@MODELS.register_module()
class ELIC(SpaceChannelCodec):
    """ELIC: unevenly grouped space-channel context, of He et al. (2022).

    .. code-block:: none

              ┌───┐  y                        y_hat      ┌───┐
        x ──►─┤g_a├──►─┬───────►──── GC ──►──────┬───►───┤g_s├─► x_hat
              └───┘    │              ▲          │       └───┘
                       │   scales_hat │   ┌──────┴──────┐
                       │    means_hat │   │ SC: anchors │ of this group
                       │           ┌──┴─┐ │ CC: groups  │ before
                       │           │ EP ├─┴──────◄──────┘
                       │           └──┬─┘
                       │ ┌───┐  z     │ params      ┌───┐
                       └─┤h_a├──►──── EB ──►────────┤h_s├
                         └───┘             z_hat    └───┘
        EB = entropy bottleneck, GC = Gaussian conditional, EP = entropy
        parameters, SC = spatial context, CC = channel context

    The channels of ``y`` are coded group by group, each in two steps: first
    its anchors, where row plus column is even, then the positions between
    them, which a masked convolution predicts from the anchors. That is ten
    steps for five groups, whatever the size.

    Transforms, hyperprior and the parameters' names within each network are
    those of CompressAI's ``Elic2022Official``, whose state dicts load as they
    are if the channel contexts are of equal widths: its release 1.2.6 has
    other ones than the paper, and not the same for all groups. Notation:
    ``latent_channels`` is the paper's M, ``hidden_channels`` its N.

    Differences from the paper: the quantiles are solved for instead of learnt
    with an auxiliary loss; training rounds with a straight-through gradient.
    A portable codec computes the hyper-synthesis, the contexts and the
    entropy parameters in integers.

    Reference:
        D. He, Z. Yang, W. Peng, R. Ma, H. Qin, Y. Wang: "ELIC: Efficient
        Learned Image Compression with Unevenly Grouped Space-Channel
        Contextual Adaptive Coding", CVPR 2022.
        https://arxiv.org/abs/2203.10886

    Args:
        hidden_channels: Channels of the transforms' hidden layers, at least
            2.
        latent_channels: Channels of the latent ``y``, at least 2.
        groups: Channels of each group, in coding order; they sum to
            ``latent_channels``.
        context_channels: Hidden channels of the channel contexts: a pair for
            all of them, or one for each group but the first.
        **kwargs: ``portable`` and ``init_cfg`` of :class:`CompressAICodec`.

    Raises:
        ValueError: If a channel count is too small, the groups do not sum to
            ``latent_channels``, or there are not as many pairs of
            ``context_channels`` as there are contexts.
    """

    downsampling_factor = 64
    codec_id = 'elic'
    receptive_radius = 144
    hidden_maps = 4

    def __init__(self,
                 hidden_channels: int = 192,
                 latent_channels: int = 320,
                 groups: Sequence[int] = (16, 16, 32, 64, 192),
                 context_channels: Sequence[int | tuple] = (224, 128),
                 **kwargs) -> None:
        self.context_channels = _pairs(context_channels, len(groups[1:]))
        self.groups = tuple(groups)
        self.schedule = [(ANCHORS, BETWEEN_ANCHORS)] * len(groups)
        super().__init__(
            hidden_channels,
            latent_channels,
            quantiser='straight_through',
            **kwargs)

    def build_network(self, hidden_channels: int,
                      latent_channels: int) -> nn.Module:
        """CompressAI's transforms and contexts, by the names used here."""
        if min(self.groups, default=0) < 1 or \
                sum(self.groups) != latent_channels:
            raise ValueError(
                '`groups` must be positive and sum to `latent_channels`; they '
                f'are {self.groups}, which is {sum(self.groups)} instead of '
                f'{latent_channels}.')
        network = elic_network(hidden_channels, latent_channels, self.groups)
        hyper, steps = (network.latent_codec[key] for key in ('hyper', 'y'))
        names = [f'y{k}' for k in range(len(self.groups))]
        spatial = {
            name: MaskedConv2d.of(steps[name].context_prediction)
            for name in names
        }
        parameters = {name: steps[name].entropy_parameters for name in names}
        channel = {
            name: channel_context(before, hidden, 2 * group)
            for name, before, hidden, group in
            zip(names[1:], accumulate(self.groups), self.context_channels,
                self.groups[1:])
        }
        return nn.ModuleDict(
            dict(
                g_a=network.g_a,
                g_s=network.g_s,
                h_a=hyper.h_a,
                h_s=hyper.h_s,
                entropy_bottleneck=hyper.entropy_bottleneck,
                gaussian_conditional=steps['y0']['y'].gaussian_conditional,
                channel_context=nn.ModuleDict(channel),
                spatial_context=nn.ModuleDict(spatial),
                entropy_parameters=nn.ModuleDict(parameters)))

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        for key in [k for k in state_dict if k.startswith(prefix)]:
            name = key[len(prefix):]
            for pattern, here in _NAMES_IN_COMPRESSAI:
                name = re.sub(f'^{pattern}', here, name)
            if name != key[len(prefix):]:
                # The groups' Gaussian conditionals are all the same.
                state_dict[prefix + name] = state_dict.pop(key)
        super()._load_from_state_dict(state_dict, prefix, *args)


def _pairs(context_channels: Sequence,
           count: int) -> tuple[tuple[int, int], ...]:
    """Hidden channels of each of some channel contexts."""
    pairs = [*context_channels]
    if all(isinstance(width, int) for width in pairs):
        pairs = [pairs] * count
    if len(pairs) != count or any(len(pair) != 2 for pair in pairs):
        raise ValueError('`context_channels` must be two numbers, or two for '
                         f'each of {count} groups, got {context_channels!r}.')
    return tuple(tuple(pair) for pair in pairs)


def elic_network(hidden_channels: int, latent_channels: int,
                 groups: Sequence[int]) -> nn.Module:
    """CompressAI's network, fit for pickle.

    Raises:
        ValueError: If there are fewer than 2 channels.
    """
    from compressai.models.sensetime import Elic2022Official as Network
    if min(hidden_channels, latent_channels) < 2:
        raise ValueError(
            '`hidden_channels` and `latent_channels` must be at least 2, got '
            f'{hidden_channels} and {latent_channels}.')
    network = Network(hidden_channels, latent_channels, [*groups])
    replace_layers(network, 'ResidualUnit', ResidualUnit)
    return network
