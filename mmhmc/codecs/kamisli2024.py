"""Variable-rate codecs of Kamisli et al. (2024): one gain for all channels."""
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from mmhmc.bitstream import SymbolDecoder
from mmhmc.functional.exact_math import exact_softplus
from mmhmc.functional.rounding import round_ste
from mmhmc.registry import MODELS
from mmhmc.structures import CodecOutput, LatentSymbols
from .bmshj2018 import ScaleHyperprior
from .hyperprior_codec import CodeStep, HyperpriorCodec, Select
from .latent_search import relaxation, searched
from .layers.gain import Quality, gains_at
from .mbt2018 import JointAutoregressive, MeanScaleHyperprior
from .streams import StreamCoder

#: Gains of the qualities at the beginning, CompressAI's.
GAINS = (0.1, 0.13944, 0.19293, 0.26874, 0.37268, 0.51801, 0.71957, 1.)
#: Names of the networks that give offsets of the reconstruction, and the step
#: of ``z``.
_OFFSETS, _HYPER_STEP = 'QuantABCD', 'gayn2zqstep'


class GainedHyperprior(HyperpriorCodec):
    """Part of a codec whose latent has one gain for all channels.

    .. code-block:: none

        y ─► * gain ─► round ─► q ─► q + sign(q) * offset ─► / gain ─► y_hat
                                            ▲
               scales_hat * gain, gain ─► QuantABCD

    The qualities are 1 (lowest rate) to 8 and between them the geometric
    means of their gains. A network moves the values that are decoded, but
    zeros, towards zero. ``h_a`` sees ``y`` without the gain, and what
    ``h_s`` gives is multiplied by it. Where ``varies_hyper_step``, another
    network gives the step of ``z``, at least 1/2, from the gain; between two
    qualities the tables of the nearer one are used. ``y_hat`` is what ``g_s``
    decodes.

    Networks, entropy models and weights are CompressAI's; its index of the
    rate ``s`` is the quality less 1, its ``inputscale`` the gain between.

    The latent cannot be coded in layers.

    Differences: gains learn, where CompressAI keeps them; a portable codec
    computes offsets and steps in integers.

    Reference:
        F. Kamisli, F. Racape, H. Choi: "Variable-Rate Learned Image
        Compression with Multi-Objective Optimization and Quantization-
        Reconstruction Offsets", DCC 2024. https://arxiv.org/abs/2402.18930

    Args:
        hidden_channels: Channels of the transforms' hidden layers.
        latent_channels: Channels of the latent ``y``.
        portable: See :class:`CompressAICodec`.
        init_cfg: mmengine's initialisation.
    """

    num_qualities = len(GAINS)
    #: Whether the step of ``z`` follows the gain.
    varies_hyper_step: bool = True
    # An offset follows from a whole integer, not from part of it.
    layers = StreamCoder.layers

    def __init__(self,
                 hidden_channels: int = 192,
                 latent_channels: int = 320,
                 portable: bool = True,
                 init_cfg: dict | None = None) -> None:
        super().__init__(
            hidden_channels,
            latent_channels,
            portable=portable,
            init_cfg=init_cfg,
            quantiser='straight_through')
        self.Gain = nn.Parameter(torch.tensor(GAINS))

    @property
    def entropy_networks(self) -> tuple[str, ...]:
        """See :attr:`CompressAICodec.entropy_networks`."""
        steps = (_HYPER_STEP, ) * self.varies_hyper_step
        return (*super().entropy_networks, _OFFSETS, *steps)

    def integer_layers(self, name: str) -> nn.Module:
        """See :meth:`CompressAICodec.integer_layers`."""
        layers = super().integer_layers(name)
        # The softplus comes apart.
        return layers[:-1] if name == _HYPER_STEP else layers

    @torch.no_grad()
    def set_gains(self, gains: Sequence[float]) -> None:
        """See :meth:`VariableRateCodec.set_gains`."""
        self.Gain.copy_(self.Gain.new_tensor(gains))

    def gain_at(self, quality: Quality | None) -> Tensor:
        """The gain, shape (1, 1, 1, 1), or (B, 1, 1, 1) of B qualities."""
        quality = self.num_qualities if quality is None else quality
        gains = gains_at(self.Gain[:, None], quality, self.in_integers)
        return gains.float()[..., None, None]

    def hyper_step_at(self, quality: Quality | None) -> Tensor:
        """The step of ``z``, of the shape of :meth:`gain_at`."""
        gain = self.gain_at(quality)
        if not self.varies_hyper_step:
            return torch.ones_like(gain)
        if not self.in_integers:
            return self.lower_bound_zqstep(self.gayn2zqstep(1 / gain))
        before = self.fixed_point(_HYPER_STEP)(1 / gain).double().cpu()
        step = torch.from_numpy(exact_softplus(before.numpy()))
        return step.clamp(min=0.5).float().to(gain.device)

    def hyper_synthesis(self,
                        z_hat: Tensor,
                        quality: Quality | None = None) -> Tensor:
        """See :meth:`HyperpriorCodec.hyper_synthesis`; the gain comes last.
        """
        params = super().hyper_synthesis(z_hat)
        gain = self.gain_at(quality).expand(len(params), 1, *params.shape[-2:])
        return torch.cat((params, gain), dim=1)

    def quantise_latent(self,
                        y: Tensor,
                        with_likelihoods: bool = True,
                        quality: Quality | None = None) -> CodecOutput:
        """See :meth:`CompressAICodec.quantise_latent`; streams ``z``, ``y``.
        """
        gain, step = self.gain_at(quality), self.hyper_step_at(quality)
        medians = self._medians()
        z = searched(
            'z', lambda y=y: (self.hyper_analysis(y) - medians) / step)
        y = searched('y', lambda y=y: y * gain)
        rounded, counted = self._round_hyper(z)
        params = self.hyper_synthesis(_placed(rounded, step, medians), quality)
        output = self.quantise_given(params, y, with_likelihoods)
        if with_likelihoods:
            output.likelihoods['z'] = self._hyper_likelihoods(
                _placed(counted, step, medians), step)
        if self.needs_symbols(y):
            output.symbols['z'] = LatentSymbols(
                rounded[0].int().flatten(),
                self._hyper_indexes(z.shape[-2:], quality))
        return output

    def _round_hyper(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """``z`` in steps from its medians as it is decoded, and as its rate
        is counted.
        """
        relax = relaxation()
        if relax is not None:
            return (relax('z', z), ) * 2
        if not self.training:
            return (z.round(), ) * 2
        noisy = z + torch.rand_like(z) - 0.5
        return noisy if self.varies_hyper_step else round_ste(z), noisy

    def _medians(self) -> Tensor:
        quantiles = self.entropy_bottleneck.quantiles.detach()
        return quantiles[:, 0, 1].view(-1, 1, 1)

    def _hyper_likelihoods(self, z: Tensor, step: Tensor) -> Tensor:
        """Likelihoods (B, C, h, w) of values that are a step wide."""
        bottleneck, by_channel = self.entropy_bottleneck, z.transpose(0, 1)
        values = by_channel.reshape(len(by_channel), 1, -1)
        half = (step / 2).expand(len(z), 1, *z.shape[-2:]).reshape(1, 1, -1)
        lower, upper = (
            bottleneck._logits_cumulative(v, stop_gradient=False)
            for v in (values - half, values + half))
        mass = torch.sigmoid(upper) - torch.sigmoid(lower)
        mass = bottleneck.likelihood_lower_bound(mass)
        return mass.reshape(by_channel.shape).transpose(0, 1)

    def run_context_model(self, params: Tensor, code_step: CodeStep,
                          **kwargs) -> tuple[Tensor, Tensor, Tensor]:
        """See :meth:`HyperpriorCodec.run_context_model`.

        Steps are coded with the gain, contexts see ``y_hat``.
        """
        params, gain = params[:, :-1], params[:, -1:, :1, :1]

        def coded(select: Select, scales_hat: Tensor,
                  means_hat: Tensor) -> Tensor:
            return self.reconstruct(code_step, select, scales_hat, means_hat,
                                    gain)

        y_hat, scales_hat, means_hat = super().run_context_model(
            params, coded, **kwargs)
        return y_hat, scales_hat * gain, means_hat * gain

    def reconstruct(self, code_step: CodeStep, select: Select,
                    scales_hat: Tensor, means_hat: Tensor,
                    gain: Tensor) -> Tensor:
        """Code a step with the gain, and decode it with its offsets.

        Args:
            code_step: See :meth:`HyperpriorCodec.run_context_model`.
            select: Selects the elements of the step.
            scales_hat: Without the gain, here and below.
            means_hat: Of the same shape.
            gain: Of :meth:`gain_at`.

        Returns:
            ``y_hat`` of the step, of the same shape.
        """
        gain = gain.view(-1, *[1] * (means_hat.ndim - 1))
        scales, means = scales_hat * gain, means_hat * gain
        symbols = code_step(select, scales, means) - means
        if not (self.training or relaxation()):
            symbols = symbols.round()
        seen = torch.stack(
            (self.gaussian_conditional.lower_bound_scale(scales),
             gain.expand_as(scales)),
            dim=-1)
        offsets = -self.run_entropy_network(_OFFSETS, seen)[..., 0]
        sign = symbols.detach().sign() * (symbols.detach().abs() > 0.5)
        moved = symbols.double() + sign * offsets.double()
        # In float64 and rounded once, it is the same on every machine.
        return (moved / gain + means_hat.double()).float()

    def decode_latent(self,
                      decoders: dict[str, SymbolDecoder],
                      latent_size: tuple[int, int],
                      quality: float | None = None) -> Tensor:
        """See :meth:`CompressAICodec.decode_latent`."""
        z_hat = self.read_bottleneck(
            decoders['z'], latent_size, quality=quality)
        return self.decode_given(
            self.hyper_synthesis(z_hat, quality), decoders)

    def bottleneck_symbols(self,
                           z: Tensor,
                           name: str = 'entropy_bottleneck',
                           quality: float | None = None) -> LatentSymbols:
        """See :meth:`EntropyModelCodec.bottleneck_symbols`."""
        steps = (z[0] - self._medians()) / self.hyper_step_at(quality)[0]
        return LatentSymbols(steps.round().int().flatten(),
                             self._hyper_indexes(z.shape[-2:], quality))

    def read_bottleneck(self,
                        decoder: SymbolDecoder,
                        size: tuple[int, int],
                        name: str = 'entropy_bottleneck',
                        quality: float | None = None) -> Tensor:
        """See :meth:`EntropyModelCodec.read_bottleneck`."""
        indexes = self._hyper_indexes(size, quality)
        counts = indexes.long().bincount(
            minlength=len(self.entropy_bottleneck._cdf_length))
        decoder.require(counts.cpu())
        symbols = decoder.decode(indexes).view(1, -1, *size)
        return _placed(symbols, self.hyper_step_at(quality), self._medians())

    def _hyper_indexes(self, size: tuple[int, int],
                       quality: float | None) -> Tensor:
        """Table of each symbol of ``z``: those of a quality are a block."""
        indexes = self._bottleneck_indexes(self.entropy_bottleneck, size)
        if not self.varies_hyper_step:
            return indexes
        quality = self.num_qualities if quality is None else quality
        row = int(quality + 0.5) - 1
        return indexes + row * self.entropy_bottleneck.channels

    @torch.inference_mode(False)
    @torch.no_grad()
    def update_entropy_tables(self, update_quantiles: bool = True) -> None:
        """See :meth:`ImageCodec.update_entropy_tables`."""
        super().update_entropy_tables(update_quantiles)
        if not self.varies_hyper_step:
            return
        tables = [
            self._tables_of_step(self.hyper_step_at(quality).flatten())
            for quality in range(1, self.num_qualities + 1)
        ]
        cdfs, lengths, offsets = zip(*tables)
        width = max(cdf.shape[1] for cdf in cdfs)
        bottleneck = self.entropy_bottleneck
        bottleneck._quantized_cdf = torch.cat([
            nn.functional.pad(cdf, (0, width - cdf.shape[1])) for cdf in cdfs
        ])
        bottleneck._cdf_length = torch.cat(lengths)
        bottleneck._offset = torch.cat(offsets)

    def _tables_of_step(self, step: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Tables of ``z`` for a step, (1,), their lengths and offsets."""
        bottleneck = self.entropy_bottleneck
        first, median, last = bottleneck.quantiles[:, 0].unbind(1)
        below, above = (((end - start) / step).ceil().int().clamp(min=0)
                        for start, end in ((first, median), (median, last)))
        length = below + above + 1
        places = torch.arange(int(length.max()), device=step.device) * step
        values = places + (median - below * step)[:, None, None]
        lower, upper = (
            bottleneck._logits_cumulative(v, stop_gradient=True)[:, 0]
            for v in (values - step / 2, values + step / 2))
        mass = torch.sigmoid(upper) - torch.sigmoid(lower)
        tail = torch.sigmoid(lower[:, :1]) + torch.sigmoid(-upper[:, -1:])
        cdf = bottleneck._pmf_to_cdf(mass, tail, length, int(length.max()))
        return cdf, length + 2, -below

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        name = f'{prefix}entropy_bottleneck.'
        count = self.num_qualities * self.entropy_bottleneck.channels
        found = state_dict.get(f'{name}_cdf_length')
        if self.varies_hyper_step and found is not None and \
                len(found) != count:
            # CompressAI's, of the one rate at which it coded last.
            for table in ('_quantized_cdf', '_cdf_length', '_offset'):
                state_dict[name + table] = found.new_empty(0)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _bottleneck_parameters(self) -> dict[str, Tensor]:
        found = super()._bottleneck_parameters()
        if self.varies_hyper_step:
            found['Gain'] = self.Gain
            for key, parameter in self.gayn2zqstep.named_parameters():
                found[f'{_HYPER_STEP}.{key}'] = parameter
        return found

    def decoding_tensors(self) -> Iterator[tuple[str, Tensor]]:
        """See :meth:`ImageCodec.decoding_tensors`."""
        yield from super().decoding_tensors()
        yield 'Gain', self.Gain


def _placed(steps: Tensor, step: Tensor, medians: Tensor) -> Tensor:
    """Values that are some steps from their medians, rounded once."""
    return (steps.double() * step + medians).float()


def _with_plain_bottleneck(network: nn.Module) -> nn.Module:
    """The network with the entropy bottleneck of one rate, whose weights and
    quantiles are the same.
    """
    from compressai.entropy_models import EntropyBottleneck
    network.entropy_bottleneck = EntropyBottleneck(
        network.entropy_bottleneck.channels)
    return network


@MODELS.register_module()
class ScaleHyperpriorVBR(GainedHyperprior, ScaleHyperprior):
    """:class:`ScaleHyperprior` with several rates, of Kamisli et al. (2024).

    See :class:`GainedHyperprior`. CompressAI's ``bmshj2018-hyperprior-vbr``.
    """

    codec_id = 'bmshj18-h-vbr'

    @staticmethod
    def build_network(hidden_channels: int, latent_channels: int) -> nn.Module:
        """CompressAI's network, whose parts are taken."""
        from compressai.models import ScaleHyperpriorVbr as Network
        return _with_plain_bottleneck(
            Network(hidden_channels, latent_channels, vr_entbttlnck=True))


@MODELS.register_module()
class MeanScaleHyperpriorVBR(GainedHyperprior, MeanScaleHyperprior):
    """:class:`MeanScaleHyperprior` with several rates, Kamisli et al. (2024).

    See :class:`GainedHyperprior`. CompressAI's ``mbt2018-mean-vbr``.
    """

    codec_id = 'mbt2018-m-vbr'

    @staticmethod
    def build_network(hidden_channels: int, latent_channels: int) -> nn.Module:
        """CompressAI's network, whose parts are taken."""
        from compressai.models import MeanScaleHyperpriorVbr as Network
        return _with_plain_bottleneck(
            Network(hidden_channels, latent_channels, vr_entbttlnck=True))


@MODELS.register_module()
class JointAutoregressiveVBR(GainedHyperprior, JointAutoregressive):
    """:class:`JointAutoregressive` with several rates, Kamisli et al. (2024).

    See :class:`GainedHyperprior`. CompressAI's ``mbt2018-vbr``, in which the
    context is moved by a vector that depends on the gain, and ``z`` has one
    step. Training predicts all positions from a latent with noise in one
    pass, where CompressAI goes through them one by one.
    """

    codec_id = 'mbt2018-vbr'
    varies_hyper_step = False

    @staticmethod
    def build_network(hidden_channels: int, latent_channels: int) -> nn.Module:
        """CompressAI's network, whose parts are taken."""
        from compressai.models import \
            JointAutoregressiveHierarchicalPriorsVbr as Network
        return Network(hidden_channels, latent_channels)

    def context_shift(self, gain: Tensor) -> Tensor:
        """What is added to the context, shape (B, 2 M), of gains (B, ...)."""
        layer, gains = self.scale_to_context, gain.reshape(-1, 1).double()
        # The products are exact, and only the sum is rounded.
        shift = gains * layer.weight[:, 0].double() + layer.bias.double()
        return shift.float()

    def run_context_model(self, params: Tensor, code_step: CodeStep,
                          **kwargs) -> tuple[Tensor, Tensor, Tensor]:
        """See :meth:`HyperpriorCodec.run_context_model`; one image."""
        shift = self.context_shift(params[:, -1:, :1, :1])
        return super().run_context_model(
            params, code_step, shift=shift[0, :, None])

    def quantise_at_once(
            self,
            y: Tensor,
            params: Tensor,
            with_likelihoods: bool = True) -> tuple[Tensor, Tensor | None]:
        """See :meth:`JointAutoregressive.quantise_at_once`."""
        params, gain = params[:, :-1], params[:, -1:, :1, :1]
        shift = self.context_shift(gain)[..., None, None]

        def predict(y_hat: Tensor) -> tuple[Tensor, Tensor]:
            context = self.context_prediction(y_hat) + shift
            both = torch.cat((params, context), dim=1)
            return self.entropy_parameters(both).chunk(2, 1)

        def round_all(select: Select, scales_hat: Tensor,
                      means_hat: Tensor) -> Tensor:
            return round_ste(y - means_hat) + means_hat

        y_hat = y.round() / gain
        if self.training:
            y_hat = self.gaussian_conditional.quantize(y, 'noise') / gain
        for _ in range(1 if self.training else 2):
            scales_hat, means_hat = predict(y_hat)
            y_hat = self.reconstruct(round_all, lambda y: y, scales_hat,
                                     means_hat, gain)
        _, likelihoods = self.run_conditional(y, scales_hat * gain,
                                              means_hat * gain,
                                              with_likelihoods)
        return y_hat, likelihoods

    def decoding_tensors(self) -> Iterator[tuple[str, Tensor]]:
        """See :meth:`ImageCodec.decoding_tensors`."""
        yield from super().decoding_tensors()
        for key, parameter in self.scale_to_context.named_parameters():
            yield f'scale_to_context.{key}', parameter
