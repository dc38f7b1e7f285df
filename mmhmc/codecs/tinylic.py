"""Codec of Lu et al. (2022): TinyLIC, attention within neighbourhoods."""
import math
from collections import defaultdict
from collections.abc import Sequence
from itertools import accumulate, islice

import torch
from torch import Tensor, nn

from mmhmc.registry import MODELS
from .layers import AttentionStage, Transform
from .layers.attention_stage import HEAD_CHANNELS
from .layers.checkerboard import MaskedConv2d
from .layers.gain import Quality
from .space_channel_codec import SpaceChannelCodec, channel_context

#: For each slice of channels the steps in which it is coded, and the phases
#: of each: 0 1 in even rows, 2 3 in odd rows.
SCHEDULE = (((0, ), (3, ), (1, ), (2, )), ((1, 2), (0, 3)), ((0, 3), (1, 2)),
            ((0, 1, 2, 3), ))


@MODELS.register_module()
class TinyLIC(SpaceChannelCodec):
    """TinyLIC of Lu et al. (2022), with one rate or several.

    Data flow as in :class:`ELIC`, but the spatial context is of the phases of
    a slice of channels, and the channel context sees ``params``, too.
    Transforms alternate strided convolutions with stages of residual blocks
    of neighbourhood attention. The channels of ``y`` are four slices, uneven
    by a cosine; the 2 x 2 phases of a slice are coded in 4, 2, 2 and 1 steps,
    nine in all, whatever the size.

    With ``variable_rate`` (:class:`VariableRateCodec`) every block has gains
    of its own, too.

    Differences from the paper: the architecture is that of its published
    code as corrected on 10 November 2022; the quantiles are solved for
    instead of learnt with an auxiliary loss; the gains are those of MPA's
    base codec (Zhang et al., 2024). Parameters have other names than in the
    published code. A portable codec computes the hyper-synthesis with its
    attention, the contexts and the entropy parameters in integers; between two
    qualities the gain of ``z`` is then found by square roots.

    Reference:
        M. Lu, F. Chen, S. Pu, Z. Ma: "High-Efficiency Lossy Image Coding
        Through Adaptive Neighborhood Information Aggregation", 2022.
        https://arxiv.org/abs/2204.11448

    Args:
        variable_rate: Whether there are several rates.
        hidden_channels: Channels at 1/2, 1/4 and 1/8 of the image's sides;
            here and below multiples of 16, the channels of an attention head.
        latent_channels: Channels M of the latent ``y``, at least 16.
        hyper_channels: Channels of the hyper-latent ``z``.
        depths: Blocks of each stage at 1/2, 1/4, ... and 1/64, the last two
            those of the hyperprior; the decoder has them in reverse.
        drop_path: Chance in training that an image skips a residual branch
            of the last block; less in those before it.
        **kwargs: ``num_qualities``, ``portable`` and ``init_cfg`` of
            :class:`CompressAICodec`.

    Raises:
        ValueError: If a channel count is no positive multiple of 16, or there
            are not as many counts as there are stages.
    """

    downsampling_factor = 64
    codec_id = 'tinylic'
    # Each block reaches three positions further, at 1/8 there are six blocks.
    receptive_radius = 320
    least_tile_size = 1024
    hidden_maps = 8
    schedule = SCHEDULE
    context_order = ('params', 'spatial', 'channel')
    channels_see_params = True

    def __init__(self,
                 variable_rate: bool = False,
                 hidden_channels: Sequence[int] = (128, 192, 256),
                 latent_channels: int = 320,
                 hyper_channels: int = 192,
                 depths: Sequence[int] = (2, 2, 6, 2, 2, 2),
                 drop_path: float = 0.1,
                 **kwargs) -> None:
        _check_sizes(hidden_channels, latent_channels, hyper_channels, depths)
        self.hidden_channels = tuple(hidden_channels)
        self.hyper_channels = hyper_channels
        self.depths, self.drop_path = tuple(depths), drop_path
        self.groups = slice_channels(latent_channels)
        super().__init__(
            hyper_channels,
            latent_channels,
            quantiser='straight_through',
            variable_rate=variable_rate,
            **kwargs)

    def build_network(self, hidden_channels: int,
                      latent_channels: int) -> nn.Module:
        """The parts, by name; ``hidden_channels`` is that of ``z``."""
        from compressai.entropy_models import (EntropyBottleneck,
                                               GaussianConditional)
        stages = self._stages(latent_channels)
        names = [f'y{i}' for i in range(len(self.groups))]
        before = accumulate(self.groups[:-1], initial=2 * latent_channels)
        return nn.ModuleDict(
            dict(
                g_a=_analysis(stages['g_a'], 3),
                h_a=_analysis(stages['h_a'], latent_channels),
                h_s=_synthesis(stages['h_s'], 2 * latent_channels),
                g_s=_synthesis(stages['g_s'], 3),
                entropy_bottleneck=EntropyBottleneck(hidden_channels),
                gaussian_conditional=GaussianConditional(None),
                channel_context=nn.ModuleDict({
                    name:
                    channel_context(channels, (size, size), 2 * size, 3,
                                    nn.GELU)
                    for name, channels, size in zip(names, before, self.groups)
                }),
                spatial_context=nn.ModuleDict({
                    f'y{i}':
                    spatial_context(size, len(steps))
                    for i, (size,
                            steps) in enumerate(zip(self.groups, SCHEDULE))
                    if len(steps) > 1
                }),
                entropy_parameters=nn.ModuleDict({
                    name:
                    entropy_parameters(2 * latent_channels, size,
                                       len(steps) > 1)
                    for name, size, steps in zip(names, self.groups, SCHEDULE)
                })))

    def _stages(self, latent_channels: int) -> dict[str, list[nn.Module]]:
        """The stages of each transform, in the order of the data."""
        count = sum(self.depths)
        rates = [self.drop_path * i / (count - 1) for i in range(count)]
        channels = (*self.hidden_channels, latent_channels,
                    *[self.hyper_channels] * 2)
        encoder = list(zip(['g_a'] * 4 + ['h_a'] * 2, channels, self.depths))
        decoder = [(name.replace('a', 's'), *sizes)
                   for name, *sizes in reversed(encoder)]
        stages = defaultdict(list)
        for plan in (encoder, decoder):
            left = iter(rates)
            for name, dim, depth in plan:
                stages[name].append(
                    self.make_stage(name, dim, list(islice(left, depth))))
        return stages

    def make_stage(self, transform: str, channels: int,
                   drop_path: list[float]) -> nn.Module:
        """A stage of blocks, of a transform, e.g. ``'g_a'``."""
        kernel_size = 3 if transform.startswith('h') else 7
        return AttentionStage(channels, kernel_size, drop_path,
                              self.num_qualities)

    def hyper_synthesis(self,
                        z_hat: Tensor,
                        quality: Quality | None = None) -> Tensor:
        """See :meth:`HyperpriorCodec.hyper_synthesis`."""
        # A map of one position counts as contiguous in any memory format, and
        # kernels may be chosen by it: take that of the decoder.
        return super().hyper_synthesis(
            z_hat.reshape(-1).view(z_hat.shape), quality)

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        for i, expected in enumerate(self.groups):
            key = f'channel_context.y{i}.4.bias'
            found = state_dict.get(prefix + key)
            if found is not None and len(found) != 2 * expected:
                raise RuntimeError(
                    f'The checkpoint has another layout of slices: {key!r} is '
                    f'of {len(found) // 2} channels, slice {i} of {expected}, '
                    f'for this {type(self).__name__} has slices of '
                    f'{self.groups}. Build it with the sizes that it was '
                    'trained with.')
        for key in state_dict:
            if key.startswith(prefix) and key.endswith('.attn.qkv.weight'):
                bias = key.replace('.qkv.weight', '.rpb')
                if bias not in state_dict:
                    raise RuntimeError(
                        'The checkpoint has attention without its relative '
                        f'position bias: there is no {bias!r}. Without it '
                        'everything comes out wrong; save it from a codec '
                        'that has the bias.')
        super()._load_from_state_dict(state_dict, prefix, *args)


def slice_channels(latent_channels: int) -> tuple[int, ...]:
    """Channels of the four slices, uneven by a quarter of a cosine.

    Raises:
        ValueError: If a slice would be empty.
    """
    count = len(SCHEDULE)
    left = [
        math.ceil(math.cos(math.pi / 2 * t / count) * latent_channels)
        for t in range(count)
    ] + [0]
    slices = tuple(a - b for a, b in zip(left, left[1:]))
    if min(slices) < 1:
        raise ValueError('`latent_channels` must be at least 16, got '
                         f'{latent_channels}: a slice would be empty.')
    return slices


def spatial_context(channels: int, num_steps: int) -> nn.ModuleList:
    """Masked convolutions, one for each step of a slice but the first."""
    checkerboard = torch.arange(25).view(5, 5) % 2 == 1
    if num_steps == 2:
        masks = [checkerboard]
    else:
        corners = torch.ones(3, 3, dtype=torch.bool)
        corners[1] = corners[:, 1] = False
        odd = torch.arange(5) % 2 == 1
        masks = [corners, checkerboard, odd[:, None] | odd]
    convs = nn.ModuleList()
    for mask in masks:
        conv = MaskedConv2d(
            channels, 2 * channels, len(mask), padding=len(mask) // 2)
        conv.register_buffer('mask',
                             mask.float().expand_as(conv.weight).clone(),
                             False)
        convs.append(conv)
    return convs


def entropy_parameters(params: int, channels: int,
                       spatial: bool) -> nn.Sequential:
    """Network from all contexts to scales and means of s channels."""
    entering = params + 2 * channels * (1 + spatial)
    hidden = (10 * channels // 3,
              8 * channels // 3) if spatial else (2 * channels, ) * 2
    return nn.Sequential(
        nn.Conv2d(entering, hidden[0], 1), nn.GELU(),
        nn.Conv2d(hidden[0], hidden[1], 1), nn.GELU(),
        nn.Conv2d(hidden[1], 2 * channels, 1))


def _analysis(stages: list[nn.Module], in_channels: int) -> Transform:
    """A strided convolution before each stage: 5x5 from pixels, else 3x3."""
    layers = []
    for stage in stages:
        channels = stage.blocks[0].norm1.normalized_shape[0]
        k = 5 if in_channels == 3 else 3
        layers += [
            nn.Conv2d(in_channels, channels, k, stride=2, padding=k // 2),
            stage
        ]
        in_channels = channels
    return Transform(*layers)


def _synthesis(stages: list[nn.Module], out_channels: int) -> Transform:
    """A transposed convolution after each stage: 5x5 to pixels, else 3x3."""
    dims = [stage.blocks[0].norm1.normalized_shape[0] for stage in stages]
    layers = []
    for stage, dim, channels in zip(stages, dims, [*dims[1:], out_channels]):
        k = 5 if channels == 3 else 3
        layers += [
            stage,
            nn.ConvTranspose2d(
                dim, channels, k, stride=2, padding=k // 2, output_padding=1)
        ]
    return Transform(*layers)


def _check_sizes(hidden_channels: Sequence[int], latent_channels: int,
                 hyper_channels: int, depths: Sequence[int]) -> None:
    """Refuse sizes with which the codec cannot be built."""
    for name, values, count in (('hidden_channels', hidden_channels,
                                 3), ('latent_channels', [latent_channels], 1),
                                ('hyper_channels', [hyper_channels], 1)):
        fits = isinstance(values, (list, tuple)) and len(values) == count and \
            all(isinstance(v, int) and v > 0 and v % HEAD_CHANNELS == 0
                for v in values)
        if not fits:
            each = f' at each of {count} resolutions' if count > 1 else ''
            got = values if count > 1 else values[0]
            raise ValueError(f'`{name}` must be a positive multiple of '
                             f'{HEAD_CHANNELS}{each}, got {got!r}.')
    if len(depths) != 6 or not all(
            isinstance(depth, int) and depth > 0 for depth in depths):
        raise ValueError('`depths` must be six positive integers, got '
                         f'{depths!r}.')
