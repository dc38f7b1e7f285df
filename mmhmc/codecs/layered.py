"""Layered generative codec after Zhang et al. (2023): two latent streams."""
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import partial

import torch
from torch import Tensor, nn

from mmhmc.bitstream import Bitstream, SymbolDecoder
from mmhmc.former_names import former_arguments
from mmhmc.functional.devices import to_device
from mmhmc.registry import MODELS
from mmhmc.structures import CodecOutput, Condition, LatentSymbols
from .compressai_codec import CompressAICodec, check_channels
from .hyperprior_codec import HyperpriorCodec
from .latent_search import kept, searched
from .layers import Transform
from .layers.adaptive_norm import ResidualHalving, StyledUpsampling

#: Streams that can control the normalisation of the synthesis.
DRIVERS = ('texture', 'semantic')
#: Strides in pixels that a texture code may have; None: one for an image.
TEXTURE_STRIDES = (None, 32, 64)
_SEMANTIC_STRIDE, _TEXTURE = 16, 'texture_bottleneck'


@MODELS.register_module()
class LayeredGenerative(HyperpriorCodec):
    """Semantic base layer and texture enhancement, joined by AdaIN.

    .. code-block:: none

                ┌───┐  y                         y_s
            ┌─►─┤g_a├──┬──────►──── GC ──►────────────────┬─► analysis
            │   └───┘  │            ▲                     │
        x ──┤          │┌───┐  z  ┌─┴─┐                   ▼ content
            │          └┤h_a├─ EB ┤h_s├                 ┌───┐
            │           └───┘     └───┘                 │g_s├─► x_hat
            │  ┌───────────┐ t                      y_r └───┘
            └─►┤g_a_texture├───────► EB ──►───────────────┴ style: AdaIN
               └───────────┘
        EB = entropy bottleneck, GC = Gaussian conditional

    ``y_s``, at 1/16 of the image's sides, carries layout; its streams ``z``
    and ``y`` are the base layer, which decodes alone. ``y_r`` is one vector
    for the image, or a coarse map of vectors; its stream ``t``, the last of a
    file, is the enhancement. If it was cut off, a learnt vector replaces it.
    :meth:`split` gives the layers of ``y_hat``, whose first
    ``semantic_channels`` are ``y_s`` and the others ``y_r``, repeated over
    the positions of a vector; ``y_s`` is the same to the last bit with and
    without the enhancement.

    Only the abstract of the paper is known: two streams, one for
    reconstruction and one for semantics, a decoder that fuses them by AdaIN,
    adversarial training. The rest follows the published code of its authors'
    conceptual compression (reference below): which stream is spatial and
    which one controls AdaIN is not known, hence ``driver``; all widths are
    chosen. Unlike there the texture encoder is not normalised, for a texture
    code has to carry means and contrasts; the semantic encoder and its
    hyperprior are those of Minnen et al. (2018), with a narrower ``z``; both
    codes have learnt entropy models and unit steps, and their amplitude is
    learnt instead of the step.

    Training rounds with a straight-through gradient, and leaves out the
    enhancement of some images. Normalisation needs the whole image, so large
    images are encoded in tiles, but not decoded in tiles.

    Reference:
        Y. Zhang, C. Jia, J. Chang, S. Ma: "Machine Perception-Driven Image
        Compression: A Layered Generative Approach", 2023.
        https://arxiv.org/abs/2304.06896
        J. Chang et al.: "Conceptual Compression via Deep Structure and
        Texture Synthesis", IEEE TIP 2022. https://arxiv.org/abs/2011.04976

    Args:
        hidden_channels: Channels of the hidden layers of ``g_a`` and
            ``h_a``.
        semantic_channels: Channels of ``y_s``.
        texture_channels: Channels of ``y_r``.
        hyper_channels: Channels of ``z``; few, for at extreme rates each
            costs.
        texture_stride: 32 or 64 pixels for a map; None for one vector, which
            is a mean over the image.
        texture_widths: Hidden channels of ``g_a_texture`` at 1/2, ..., 1/32.
        decoder_widths: Channels of ``g_s`` at 1/16, ..., 1/1.
        driver: Stream that controls AdaIN; the other one is its content. If
            it is ``'semantic'``, the texture has to be a map: normalisation
            would erase one vector.
        fusion: ``'adain'``, or ``'concat'``, which instead of scaling and
            shifting appends the style to the channels.
        base_only_rate: Chance in training, in [0, 1], that an image is
            decoded without its enhancement.
        base_only: Whether evaluation cuts the enhancement off every file.
        **kwargs: ``portable`` and ``init_cfg`` of :class:`CompressAICodec`.

    Raises:
        ValueError: If a channel count is not positive, or another argument
            is none of those named.
    """

    downsampling_factor = 64
    codec_id = 'lgc'
    # Its layers are these streams, and no integers are split.
    optional_streams = ('t', )
    encoder_parts = ('g_a', 'h_a', 'g_a_texture')
    layers = CompressAICodec.layers
    receptive_radius = 64
    entropy_networks = ('h_s', )

    def __init__(self,
                 hidden_channels: int = 128,
                 semantic_channels: int = 48,
                 texture_channels: int = 64,
                 hyper_channels: int = 32,
                 texture_stride: int | None = None,
                 texture_widths: Sequence[int] = (64, 128, 192, 256, 256),
                 decoder_widths: Sequence[int] = (256, 192, 128, 64, 32),
                 driver: str = 'texture',
                 fusion: str = 'adain',
                 base_only_rate: float = 0.1,
                 base_only: bool = False,
                 **kwargs) -> None:
        check_channels(
            semantic_channels=semantic_channels,
            texture_channels=texture_channels,
            hyper_channels=hyper_channels)
        _check_layers(texture_stride, texture_widths, decoder_widths, driver,
                      base_only_rate)
        self.semantic_channels = semantic_channels
        self.texture_channels = texture_channels
        self.hyper_channels = hyper_channels
        self.texture_stride = texture_stride
        self.texture_widths = tuple(texture_widths)
        self.decoder_widths = tuple(decoder_widths)
        self.driver, self.fusion = driver, fusion
        self.base_only_rate, self.base_only = base_only_rate, base_only
        super().__init__(
            hidden_channels,
            semantic_channels,
            quantiser='straight_through',
            **kwargs)
        self.latent_channels = semantic_channels + texture_channels
        self.texture_bottleneck.quantiles.requires_grad_(False)
        self.default_texture = nn.Parameter(torch.zeros(texture_channels))

    def build_network(self, hidden_channels: int,
                      latent_channels: int) -> nn.Module:
        """All parts by name; ``latent_channels`` are those of ``y_s``."""
        from compressai.entropy_models import EntropyBottleneck
        from compressai.models import MeanScaleHyperprior
        network = MeanScaleHyperprior(hidden_channels, latent_channels)
        network.h_a[-1] = nn.Conv2d(
            hidden_channels, self.hyper_channels, 5, stride=2, padding=2)
        network.h_s[0] = nn.ConvTranspose2d(
            self.hyper_channels,
            latent_channels,
            5,
            stride=2,
            padding=2,
            output_padding=1)
        network.entropy_bottleneck = EntropyBottleneck(self.hyper_channels)
        content, style = latent_channels, self.texture_channels
        if self.driver == 'semantic':
            content, style = style, content
        network.g_s = _synthesis(content, style, self.decoder_widths,
                                 self.fusion)
        network.g_a_texture = _texture_analysis(self.texture_widths,
                                                self.texture_channels)
        network.texture_bottleneck = EntropyBottleneck(self.texture_channels)
        return network

    @former_arguments(rate='with_likelihoods')
    def encode_latents(self,
                       x: Tensor,
                       condition: Condition = None,
                       with_likelihoods: bool = True) -> CodecOutput:
        """See :meth:`ImageCodec.encode_latents`; ``t`` is the texture."""
        output = super().encode_latents(x, condition, with_likelihoods)
        texture = kept(
            'texture',
            lambda: self.run_transform(self.g_a_texture, x, Fraction(1, 32)))
        self._check_latent(texture)
        with torch.autocast(x.device.type, enabled=False):
            texture = self._pool(texture.float().contiguous())
            y_r, likelihoods, symbols = self._code_texture(
                texture, with_likelihoods)
            y_s, output.y_hat = output.y_hat, self._join(
                output.y_hat, self._leave_out(y_r))
            if self.training or not self.base_only:
                output.y_layers = [
                    self._join(y_s, self.default_texture.view(1, -1, 1, 1))
                ]
        if with_likelihoods and (self.training or not self.base_only):
            output.likelihoods['t'] = likelihoods
        if output.symbols:
            output.symbols['t'] = symbols
        return output

    def _pool(self, texture: Tensor) -> Tensor:
        """From 1/32 to the stride of the texture code."""
        if self.texture_stride is None:
            return texture.mean(dim=(2, 3), keepdim=True)
        return nn.functional.avg_pool2d(texture, self.texture_stride // 32)

    def _code_texture(
        self, t: Tensor, with_likelihoods: bool
    ) -> tuple[Tensor, Tensor | None, LatentSymbols | None]:
        """Quantised texture, its likelihoods and its symbols."""
        t = searched('t', lambda t=t: t)
        t_hat, likelihoods = self.run_bottleneck(t, with_likelihoods, _TEXTURE)
        symbols = None
        if self.needs_symbols(t):
            symbols = self.bottleneck_symbols(t, _TEXTURE)
        return t_hat, likelihoods, symbols

    def _leave_out(self, y_r: Tensor) -> Tensor:
        """The default texture for images without an enhancement."""
        if not self.training:
            left_out = to_device(self.base_only, y_r.device)
        else:
            left_out = torch.rand(
                len(y_r), 1, 1, 1, device=y_r.device) < self.base_only_rate
        return torch.where(left_out, self.default_texture[:, None, None], y_r)

    def _join(self, y_s: Tensor, y_r: Tensor) -> Tensor:
        """Both layers as one latent (B, M, h, w) at 1/16."""
        y_r = y_r.expand(len(y_s), -1, -1, -1)
        times = [
            side // one for side, one in zip(y_s.shape[2:], y_r.shape[2:])
        ]
        y_r = y_r.repeat_interleave(times[0], 2).repeat_interleave(times[1], 3)
        return torch.cat((y_s, y_r), dim=1)

    def split(self, y_hat: Tensor) -> tuple[Tensor, Tensor]:
        """The layers of a latent.

        Args:
            y_hat: Shape (B, M, h, w).

        Returns:
            ``y_s`` (B, semantic_channels, h, w), and ``y_r``
            (B, texture_channels, 1, 1) or at the stride of its map.
        """
        y_s, y_r = y_hat.split([self.semantic_channels, self.texture_channels],
                               dim=1)
        if self.texture_stride is None:
            return y_s, y_r[..., :1, :1]
        step = self.texture_stride // _SEMANTIC_STRIDE
        return y_s, y_r[..., ::step, ::step]

    def decode_latents(self,
                       y_hat: Tensor,
                       condition: Condition = None) -> Tensor:
        """See :meth:`ImageCodec.decode_latents`."""
        self.check_condition(condition)
        y_s, y_r = self.split(y_hat)
        y_s = self.scale(y_s, 'inverse_gain', self.quality_of(condition))
        if self.driver == 'texture':
            content, style = y_s, y_r
        else:
            content, style = y_hat[:, self.semantic_channels:], y_s
        # Not in tiles: each would be normalised by its own content.
        run = self.g_s if self.training else partial(self._run_in_dtype,
                                                     self.g_s)
        return run(content.contiguous(), style=style.contiguous()).float()

    def read_latents(self,
                     decoders: dict[str, SymbolDecoder],
                     coded_size: tuple[int, int],
                     condition: Condition = None) -> Tensor:
        """See :meth:`ImageCodec.read_latents`; ``t`` may be missing."""
        y_s = super().read_latents(decoders, coded_size, condition)
        if 't' not in decoders:
            y_r = self.default_texture.detach().view(1, -1, 1, 1)
            return self._join(y_s, y_r)
        size = (1, 1)
        if self.texture_stride is not None:
            size = tuple(side // self.texture_stride for side in coded_size)
        return self._join(y_s,
                          self.read_bottleneck(decoders['t'], size, _TEXTURE))

    def write(self,
              output: CodecOutput,
              size: tuple[int, int],
              condition: Condition = None) -> Bitstream:
        """See :meth:`ImageCodec.write`; with ``base_only`` it is cut."""
        stream = super().write(output, size, condition)
        return stream.keep(2) if self.base_only else stream

    def decoding_tensors(self) -> Iterator[tuple[str, Tensor]]:
        """See :meth:`ImageCodec.decoding_tensors`."""
        yield from super().decoding_tensors()
        yield 'texture_medians', self.texture_bottleneck.quantiles[:, 0, 1]
        yield 'default_texture', self.default_texture

    def _entropy_models(self) -> Iterator[tuple[str, nn.Module]]:
        yield from super()._entropy_models()
        yield 't', self.texture_bottleneck


def _synthesis(content: int, style: int, widths: Sequence[int],
               fusion: str) -> Transform:
    """``g_s``: four blocks from 1/16 of the image's sides to 1/1."""
    last = nn.Conv2d(widths[-1], 3, 3, padding=1)
    # In the middle of the range: the first decoded images are grey.
    nn.init.constant_(last.bias, 0.5)
    return Transform(
        nn.Conv2d(content, widths[0], 3, padding=1),
        *(StyledUpsampling(before, after, style, fusion)
          for before, after in zip(widths, widths[1:])), nn.LeakyReLU(0.2),
        last)


def _texture_analysis(widths: Sequence[int], channels: int) -> nn.Sequential:
    """``g_a_texture``: from image to 1/32 of its sides."""
    return nn.Sequential(
        nn.Conv2d(3, widths[0], 4, stride=2, padding=1),
        *(ResidualHalving(before, after)
          for before, after in zip(widths, widths[1:])), nn.LeakyReLU(0.2),
        nn.Conv2d(widths[-1], channels, 1))


def _check_layers(texture_stride: int | None, texture_widths: Sequence[int],
                  decoder_widths: Sequence[int], driver: str,
                  base_only_rate: float) -> None:
    """Refuse layers that cannot be built or would not work."""
    if texture_stride not in TEXTURE_STRIDES:
        raise ValueError('`texture_stride` must be one of '
                         f'{list(TEXTURE_STRIDES)}, got {texture_stride!r}.')
    for name, widths in (('texture_widths', texture_widths), ('decoder_widths',
                                                              decoder_widths)):
        if len(widths) != 5 or min(widths) < 1:
            raise ValueError(f'`{name}` must be five positive numbers, got '
                             f'{tuple(widths)}.')
    if driver not in DRIVERS:
        raise ValueError(f'`driver` must be one of {list(DRIVERS)}, got '
                         f'{driver!r}.')
    if driver == 'semantic' and texture_stride is None:
        raise ValueError(
            "driver='semantic' makes the texture the content of the decoder, "
            'which normalises it: one vector would be erased. Set '
            '`texture_stride` to 32 or 64.')
    if not 0 <= base_only_rate <= 1:
        raise ValueError('`base_only_rate` is a chance and must be in [0, 1], '
                         f'got {base_only_rate}.')
