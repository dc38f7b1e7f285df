"""Intra codec of DCVC-UF (2026): every rate in one set of weights."""
import math
from collections.abc import Sequence
from functools import partial
from numbers import Real
from typing import Optional

import torch
from torch import Tensor, nn

from mmhmc.bitstream import SymbolDecoder
from mmhmc.functional import bound
from mmhmc.functional.colour import rgb_to_ycbcr, ycbcr_to_rgb
from mmhmc.functional.devices import to_device
from mmhmc.functional.rounding import round_ste
from mmhmc.registry import MODELS
from mmhmc.structures import CodecOutput, LatentSymbols
from .compressai_codec import check_channels
from .hyperprior_codec import CodeStep, HyperpriorCodec
from .latent_search import relaxation, searched
from .layers import DepthConvBlock, FactorisedDensity, Transform
from .layers.depth_conv import (GROUP, PATCH, PatchConv2d, downsampling,
                                initialise_convolutions, upsampling)
from .layers.gain import Gain, Quality

#: For each step the position, row by row, at which each quarter of the
#: channels is coded in every square of 2 x 2: a Latin square.
POSITIONS = ((0, 1, 2, 3), (3, 2, 1, 0), (2, 3, 0, 1), (1, 0, 3, 2))
#: Blocks between the resolutions of analysis and synthesis, and of each
#: network of the context.
_ANALYSIS_BLOCKS, _SYNTHESIS_BLOCKS, _CONTEXT_BLOCKS = 6, 12, 3


@MODELS.register_module()
class DCVCUFIntra(HyperpriorCodec):
    """Intra codec of DCVC-UF: fast, with 64 rates in one set of weights.

    .. code-block:: none

              ┌───┐  y                              ┌───┐
        x ──►─┤g_a├──►─┬─ q_y_enc ─► GC ─► q_y_dec ─┤g_s├─► x_hat
              └─┬─┘    │             ▲ │            └─┬─┘
              q_enc    │ scales_hat, │ ▼ y_hat      q_dec
                       │  means_hat ┌┴─┴──────┐
                       │            │ context │ four steps
                       │            └────┬────┘
                       │ ┌───┐  z        │   ┌───┐
                       └─┤h_a├──►── FD ──┴─◄─┤h_s├
                         └───┘               └───┘
        FD = factorised density, GC = Gaussian conditional

    Transforms work at 1/8 of the image's sides and coarser, on residual
    blocks of pointwise and depthwise convolutions. A quarter of the latent is
    coded in each of four steps: of every square of 2 x 2 positions each has
    another quarter of the channels, so that all positions have a part in
    every step. What h_s says gives the first step's scales and means; a block
    of its own and a network that all share give those of the others.

    The qualities are 1 (lowest rate) to ``num_qualities``: a gain for each
    channel after the first block of ``g_a``, before the last of ``g_s`` and on
    either side of the quantiser, and densities of ``z`` of its own. Between
    two qualities gains are interpolated geometrically and the nearer density
    is taken. In training the images of a batch may have qualities of their
    own. ``y_hat`` is the latent before ``q_y_dec``.

    Colours are coded as luma and chroma of ITU-R BT.709 in the full range,
    each around zero; images are RGB in [0, 1] on either side, and so is what
    ``RateLossHook`` compares.

    After the specification of the intra codec in Microsoft's DCVC-UF (MIT
    licence, https://github.com/microsoft/DCVC, 2026), written anew; its
    weights are not loaded. Differences: images are padded to multiples of 64;
    a quality between two can be coded; gains are not negative. Symbols of
    ``y`` have tables of any length with escapes, instead of nine on either
    side; none is left out for a small scale. A portable codec computes the
    hyper-synthesis and the context in integers.

    Args:
        hidden_channels: Channels of the transforms at 1/8 of the sides.
        latent_channels: Channels of the latent ``y``, a multiple of 4.
        hyper_channels: Channels of the hyper-latent ``z``.
        num_qualities: Qualities Q.
        portable: See :class:`CompressAICodec`.
        init_cfg: mmengine's initialisation.
        layers: See :class:`CompressAICodec`.

    Raises:
        ValueError: If a count is not positive, or ``latent_channels`` not a
            multiple of 4.
    """

    downsampling_factor = 64
    codec_id = 'dcvc-uf'
    receptive_radius = 112
    autoregressive = True
    encoder_parts = ('g_a', 'h_a', 'q_y_enc')
    scale_range, scale_levels = (0.11, 16.), 128

    def __init__(self,
                 hidden_channels: int = 384,
                 latent_channels: int = 256,
                 hyper_channels: int = 128,
                 num_qualities: int = 64,
                 portable: bool = True,
                 init_cfg: Optional[dict] = None,
                 layers: Optional[Sequence] = None) -> None:
        check_channels(
            latent_channels=latent_channels,
            hyper_channels=hyper_channels,
            num_qualities=num_qualities)
        if latent_channels % len(POSITIONS):
            raise ValueError('`latent_channels` must be a multiple of '
                             f'{len(POSITIONS)}, got {latent_channels}.')
        self.hidden_channels = hidden_channels
        self.hyper_channels = hyper_channels
        self.num_qualities = num_qualities
        super().__init__(
            hidden_channels,
            latent_channels,
            portable,
            init_cfg,
            'straight_through',
            layers=layers)
        initialise_convolutions(self)
        for network in (self.fusion, self.spatial):
            # Means begin near zero, where most of a latent is.
            nn.init.xavier_normal_(network[-1].weight, gain=0.1)

    def build_network(self, hidden_channels: int,
                      latent_channels: int) -> nn.Module:
        """The parts, by name."""
        from compressai.entropy_models import GaussianConditional
        y, z = latent_channels, self.hyper_channels
        return nn.ModuleDict(
            dict(
                g_a=_analysis(hidden_channels, y, self.num_qualities),
                g_s=_synthesis(hidden_channels, y, self.num_qualities),
                q_y_enc=Gain(self.num_qualities, y),
                q_y_dec=Gain(self.num_qualities, y),
                h_a=nn.Sequential(
                    DepthConvBlock(y, z), downsampling(z, z),
                    downsampling(z, z)),
                h_s=nn.Sequential(
                    upsampling(z, z), upsampling(z, z), DepthConvBlock(z, y)),
                fusion=_context(y, y),
                reduction=nn.Conv2d(2 * y, y, 1),
                adaptors=nn.ModuleList(
                    DepthConvBlock(2 * y, 2 * y, adapts=True)
                    for _ in POSITIONS[1:]),
                spatial=_context(2 * y, y),
                entropy_bottleneck=FactorisedDensity(self.num_qualities, z),
                gaussian_conditional=GaussianConditional(None)))

    @property
    def entropy_networks(self) -> tuple[str, ...]:
        """See :attr:`CompressAICodec.entropy_networks`."""
        return ('h_s', 'fusion', 'reduction',
                *(f'adaptors.{i}'
                  for i in range(len(POSITIONS) - 1)), 'spatial')

    def set_gains(self, gains: Sequence[float]) -> None:
        """See :meth:`VariableRateCodec.set_gains`."""
        for part, power in ((self.q_y_enc, 1), (self.q_y_dec, -1)):
            with torch.no_grad():
                part.gains.copy_(torch.tensor(gains)[:, None]**power)

    def _encode(self, x: Tensor, with_likelihoods: bool, controls: dict,
                **of_transform) -> CodecOutput:
        return super()._encode(
            rgb_to_ycbcr(x, centred=True), with_likelihoods, controls,
            **of_transform)

    def _decode(self, y_hat: Tensor, controls: dict, **of_transform) -> Tensor:
        planes = super()._decode(
            self.q_y_dec(y_hat, **controls), controls, **of_transform)
        return ycbcr_to_rgb(planes, centred=True)

    def quantise_latent(self,
                        y: Tensor,
                        with_likelihoods: bool = True,
                        quality: Optional[Quality] = None) -> CodecOutput:
        """See :meth:`CompressAICodec.quantise_latent`; streams ``z``, ``y``.
        """
        quality = quality or self.num_qualities
        z = searched('z', lambda y=y: self.run_hyper_analysis(y))
        y = searched('y', lambda y=y: self.q_y_enc(y, quality))
        relax = relaxation()
        z_hat = relax('z', z) if relax else round_ste(z)
        output = self.quantise_given(
            self.hyper_synthesis(z_hat), y, with_likelihoods)
        if with_likelihoods:
            output.likelihoods['z'] = self._hyper_likelihoods(
                z_hat if relax else z, quality)
        if self.needs_symbols(y):
            output.symbols['z'] = self.bottleneck_symbols(z, quality=quality)
        return output

    def run_conditional(
            self,
            y: Tensor,
            scales_hat: Tensor,
            means_hat: Optional[Tensor] = None,
            with_likelihoods: bool = True) -> tuple[Tensor, Optional[Tensor]]:
        """See :meth:`EntropyModelCodec.run_conditional`."""
        return super().run_conditional(y, self._bounded(scales_hat), means_hat,
                                       with_likelihoods)

    def conditional_likelihoods(self,
                                y_hat: Tensor,
                                scales_hat: Tensor,
                                means_hat: Tensor,
                                width: Tensor | int = 1) -> Tensor:
        """See :meth:`EntropyModelCodec.conditional_likelihoods`."""
        return super().conditional_likelihoods(y_hat,
                                               self._bounded(scales_hat),
                                               means_hat, width)

    def _bounded(self, scales_hat: Tensor) -> Tensor:
        # There is no table for a larger scale; it may learn to be smaller.
        least, largest = (
            torch.full_like(scales_hat, end)
            for end in (-torch.inf, self.scale_range[1]))
        return bound(scales_hat, least, largest)

    def decode_latent(self,
                      decoders: dict[str, SymbolDecoder],
                      latent_size: tuple[int, int],
                      quality: Optional[float] = None) -> Tensor:
        """See :meth:`CompressAICodec.decode_latent`."""
        z_hat = self.read_bottleneck(
            decoders['z'], latent_size, quality=quality)
        return self.decode_given(self.hyper_synthesis(z_hat), decoders)

    def run_context_model(
            self, params: Tensor,
            code_step: CodeStep) -> tuple[Tensor, Tensor, Tensor]:
        """See :meth:`HyperpriorCodec.run_context_model`; four steps."""
        both = self.run_entropy_network('fusion', params)
        common = self.run_entropy_network('reduction', both)
        # ``y_hat``, scales and means of all steps, as far as they are known.
        found = []
        for step in range(len(POSITIONS)):
            if step:
                adapted = self.run_entropy_network(
                    f'adaptors.{step - 1}', torch.cat((found[0], common),
                                                      dim=1))
                both = self.run_entropy_network('spatial', adapted)
            here = [take_step(part, step) for part in both.chunk(2, dim=1)]
            values = code_step(partial(take_step, step=step), *here)
            spread = [spread_step(part, step) for part in (values, *here)]
            found = [a + b for a, b in zip(found, spread)] or spread
        return tuple(found)

    def bottleneck_symbols(self,
                           z: Tensor,
                           name: str = 'entropy_bottleneck',
                           quality: Optional[float] = None) -> LatentSymbols:
        """See :meth:`CompressAICodec.bottleneck_symbols`."""
        indexes = self._hyper_indexes(z.shape[-2:], quality)
        return LatentSymbols(torch.round(z[0]).int().flatten(), indexes)

    def read_bottleneck(self,
                        decoder: SymbolDecoder,
                        size: tuple[int, int],
                        name: str = 'entropy_bottleneck',
                        quality: Optional[float] = None) -> Tensor:
        """See :meth:`CompressAICodec.read_bottleneck`."""
        counts = torch.zeros(
            self.num_qualities, self.hyper_channels, dtype=torch.int64)
        counts[self._row_of(quality)] = size[0] * size[1]
        decoder.require(counts.flatten())
        symbols = decoder.decode(self._hyper_indexes(size, quality))
        return symbols.view(1, -1, *size).float()

    def _hyper_indexes(self, size: tuple[int, int],
                       quality: Optional[float]) -> Tensor:
        return self.entropy_bottleneck.indexes(self._row_of(quality), size)

    def _row_of(self, quality: Optional[float]) -> int:
        """Density of ``z`` at a quality, counted from 0: the nearest."""
        if quality is None:
            return self.num_qualities - 1
        return math.floor(quality + 0.5) - 1

    def _hyper_likelihoods(self, z: Tensor, quality: Quality) -> Tensor:
        """Of ``z`` with noise in training, in a search as it is, else rounded.
        """
        seen = z if relaxation() else z.round()
        if self.training:
            seen = z + torch.rand_like(z) - 0.5
        qualities = [quality] if isinstance(quality, Real) else quality
        rows = to_device([self._row_of(q) for q in qualities], z.device)
        return self.entropy_bottleneck(seen, rows)

    @property
    def bytes_per_pixel(self) -> int:
        """See :attr:`ImageCodec.bytes_per_pixel`."""
        # Two of the widest maps and four others, at a 64th of the positions.
        return self.hidden_channels * 4 * (2 * GROUP + 4) // PATCH**2

    def update_entropy_tables(self, update_quantiles: bool = True) -> None:
        """See :meth:`ImageCodec.update_entropy_tables`; no quantiles."""
        self.entropy_bottleneck.update()
        super().update_entropy_tables(update_quantiles)

    def _bottleneck_parameters(self) -> dict[str, Tensor]:
        return {
            f'entropy_bottleneck.{key}': parameter
            for key, parameter in self.entropy_bottleneck.named_parameters()
        }


def take_step(t: Tensor, step: int) -> Tensor:
    """What a step codes of a latent.

    Args:
        t: Shape (B, 4 C, h, w), h and w even.
        step: From 0 to 3.

    Returns:
        Of every position one quarter of its channels, shape (B, C, h, w).
    """
    quarters = t.chunk(len(POSITIONS), dim=1)
    taken = quarters[0].new_empty(quarters[0].shape)
    for quarter, position in zip(quarters, POSITIONS[step]):
        _at(taken, position).copy_(_at(quarter, position))
    return taken


def spread_step(values: Tensor, step: int) -> Tensor:
    """Inverse of :func:`take_step`, with zeros at the other elements."""
    count, channels, *size = values.shape
    t = values.new_zeros(count, len(POSITIONS), channels, *size)
    for quarter, position in enumerate(POSITIONS[step]):
        _at(t[:, quarter], position).copy_(_at(values, position))
    return t.flatten(1, 2)


def _at(t: Tensor, position: int) -> Tensor:
    """View of one position of every square of 2 x 2."""
    return t[..., position // 2::2, position % 2::2]


def _analysis(channels: int, latent_channels: int,
              num_qualities: int) -> Transform:
    """``g_a``; takes luma and chroma."""
    # Of the specification's first block what changes the channels, if any.
    changes = channels != 3 * PATCH**2
    first = PatchConv2d(3, channels) if changes else nn.PixelUnshuffle(PATCH)
    return Transform(
        first, DepthConvBlock(channels, channels),
        Gain(num_qualities, channels),
        *(DepthConvBlock(channels, channels) for _ in range(_ANALYSIS_BLOCKS)),
        nn.Conv2d(channels, latent_channels, 3, stride=2, padding=1))


def _synthesis(channels: int, latent_channels: int,
               num_qualities: int) -> Transform:
    """``g_s``; gives luma and chroma."""
    return Transform(
        upsampling(latent_channels, channels),
        *(DepthConvBlock(channels, channels)
          for _ in range(_SYNTHESIS_BLOCKS)), Gain(num_qualities, channels),
        nn.Sequential(
            DepthConvBlock(channels, 3 * PATCH**2), nn.PixelShuffle(PATCH)))


def _context(in_channels: int, latent_channels: int) -> nn.Sequential:
    """Scales and means of ``latent_channels`` from what is known."""
    width = 2 * latent_channels
    blocks = [
        DepthConvBlock(channels, width)
        for channels in [in_channels] + [width] * (_CONTEXT_BLOCKS - 1)
    ]
    return nn.Sequential(*blocks, nn.Conv2d(width, width, 1))
