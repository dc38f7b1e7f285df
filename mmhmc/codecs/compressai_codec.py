"""Codecs that take their parts from CompressAI's networks."""
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from fractions import Fraction

import torch
from torch import Tensor, nn

from mmhmc.bitstream import SymbolDecoder, deterministic_kernels
from mmhmc.former_names import former_arguments
from mmhmc.functional.devices import device_of, is_estimating
from mmhmc.structures import CodecOutput, Condition
from .entropy_model_codec import QUANTISERS, EntropyModelCodec
from .latent_search import kept
from .layers import DivisiveNorm, FixedPointNetwork
from .layers.attention_stage import known_controls
from .layers.fixed_point import ARITHMETIC
from .layers.gain import Quality
from .layers.replacing import convolution_of, replace_layers


class PointwiseStridedConv2d(nn.Conv2d):
    """1x1 convolution with a stride, as a slice and one without.

    The same result and the same parameters. oneDNN's float32 channels_last
    backward pass of the strided form writes outside its buffers when there
    are three input channels (torch 2.1 to 2.13), which ends in a crash; this
    class can go when that is mended.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Convolve every stride-th pixel of ``x`` (B, C, H, W)."""
        row, column = self.stride
        return nn.functional.conv2d(x[..., ::row, ::column], self.weight,
                                    self.bias)


class CompressAICodec(EntropyModelCodec):
    """A codec that takes its parts from a CompressAI network.

    The parts keep their names, so that CompressAI's state dicts load as they
    are. Entropy models and the networks before them compute in float32 under
    autocast.

    In evaluation a portable codec computes :attr:`entropy_networks` in
    integers (:class:`~mmhmc.codecs.layers.FixedPointNetwork`), which follow
    from the weights alone. State dicts of former portable codecs also bring
    settings of each network as ``NAME_fixed_point``; they are kept, so that
    the files of such a codec decode.

    Args:
        hidden_channels: Channels of the transforms' hidden layers.
        latent_channels: Channels of the latent ``y``.
        portable: Whether streams decode identically on every machine. False
            computes :attr:`entropy_networks` in floating point, for
            experiments: streams are refused where device, threads or
            settings of the kernels differ.
        init_cfg: mmengine's initialisation.
        quantiser: The latent that training decodes, one of
            :data:`QUANTISERS`. The rate is always that of latents with
            uniform noise, through which gradients pass. ``'noise'`` decodes
            these; their images look other than those of real streams, and a
            host learns from them. ``'straight_through'`` decodes rounded
            latents, with the gradient of the identity (D. Minnen, S. Singh:
            "Channel-wise Autoregressive Entropy Models for Learned Image
            Compression", ICIP 2020, https://arxiv.org/abs/2007.08739).
        variable_rate: Whether there are several rates, see
            :class:`VariableRateCodec`.
        num_qualities: How many, 8 if not given.
        layers: Codes the latent in layers, see :class:`EmbeddedCodec`: odd
            factors, e.g. ``[3]`` for a base and an enhancement. None: one
            layer.

    Raises:
        ValueError: If a channel count is not positive, or another argument
            is out of range.
    """

    #: Maps of the transforms' hidden channels that exist at once, in float32
    #: at half the image's sides, and what allocating them loses.
    hidden_maps = 5
    #: Names of the networks that compute entropy parameters: their results
    #: choose a table or become part of ``y_hat``.
    entropy_networks: tuple[str, ...] = ()

    def __init__(self,
                 hidden_channels: int = 128,
                 latent_channels: int = 192,
                 portable: bool = True,
                 init_cfg: dict | None = None,
                 quantiser: str = 'noise',
                 variable_rate: bool = False,
                 num_qualities: int | None = None,
                 layers: Sequence | None = None) -> None:
        super().__init__(init_cfg)
        self.set_qualities(variable_rate, num_qualities)
        check_channels(
            hidden_channels=hidden_channels, latent_channels=latent_channels)
        if quantiser not in QUANTISERS:
            raise ValueError(f'`quantiser` must be one of {QUANTISERS}, got '
                             f'{quantiser!r}.')
        self.quantiser = quantiser
        self.latent_channels = latent_channels
        network = self.build_network(hidden_channels, latent_channels)
        for name, part in network.named_children():
            self.add_module(name, part)
        for bottleneck in self._bottlenecks().values():
            bottleneck.quantiles.requires_grad_(False)
        replace_layers(self, 'GDN', DivisiveNorm)
        replace_layers(self.g_a, 'Conv2d', _without_pointwise_stride)
        for name in self.entropy_networks:
            self.register_buffer(_settings_of(name), None)
        if variable_rate:
            self.add_gains(**{'': latent_channels})
            if hasattr(self, 'h_a'):
                self.add_gains(hyper_=self.entropy_bottleneck.channels)
        self.portable = portable
        self.layers = layers

    @property
    def portable(self) -> bool:
        """See :attr:`StreamCoder.portable`.

        Always, if there are no :attr:`entropy_networks`: the tables alone
        decide.
        """
        return self._portable or not self.entropy_networks

    @portable.setter
    def portable(self, portable: bool) -> None:
        """False writes streams in floating point, for experiments."""
        self._portable = bool(portable)

    @staticmethod
    @abstractmethod
    def build_network(hidden_channels: int, latent_channels: int) -> nn.Module:
        """CompressAI's network, whose parts are taken."""

    @former_arguments(rate='with_likelihoods')
    def encode_latents(self,
                       x: Tensor,
                       condition: Condition = None,
                       with_likelihoods: bool = True) -> CodecOutput:
        """See :meth:`ImageCodec.encode_latents`."""
        self.check_input(x, condition)
        return self._encode(x, with_likelihoods, self.controls_of(condition))

    def _encode(self, x: Tensor, with_likelihoods: bool, controls: dict,
                **of_transform) -> CodecOutput:
        y = kept(
            'g_a', lambda: self.run_transform(self.g_a, x, Fraction(1, 16), **
                                              controls, **of_transform))
        self._check_latent(y)
        with self._entropy_arithmetic(x.device):
            # Contiguous, as in the decoder.
            return self.quantise_latent(y.float().contiguous(),
                                        with_likelihoods, **controls)

    @contextmanager
    def _entropy_arithmetic(self, device: torch.device) -> Iterator[None]:
        """No autocast; one choice of kernels where floating point decides."""
        free = self.training or self.in_integers or is_estimating()
        with torch.autocast(device.type, enabled=False), \
                nullcontext() if free else deterministic_kernels():
            yield

    def decode_latents(self,
                       y_hat: Tensor,
                       condition: Condition = None) -> Tensor:
        """See :meth:`ImageCodec.decode_latents`."""
        self.check_condition(condition)
        return self._decode(y_hat, self.controls_of(condition))

    def _decode(self, y_hat: Tensor, controls: dict, **of_transform) -> Tensor:
        y_hat = self.scale(y_hat, 'inverse_gain', controls.get('quality'))
        return self.run_transform(self.g_s, y_hat, Fraction(16), **controls,
                                  **of_transform).float()

    def needs_symbols(self, y: Tensor) -> bool:
        """Whether symbols of latents (B, M, h, w) are needed for a stream."""
        return len(y) == 1 and not (self.training or is_estimating())

    def _check_latent(self, y: Tensor) -> None:
        if self.training or not self.may_read_values(y):
            return
        # Beyond 2^24 float32 skips integers; comparing also catches NaN.
        if not y.abs().amax() < 1 << 24:
            raise ValueError(
                'The latent is not sensible: its values reach '
                f'{y.abs().amax().item():.3g}, or are not finite. Check the '
                "codec's weights, and that `x` lies in [0, 1].")

    def read_latents(self,
                     decoders: dict[str, SymbolDecoder],
                     coded_size: tuple[int, int],
                     condition: Condition = None) -> Tensor:
        """See :meth:`ImageCodec.read_latents`."""
        device = device_of(self.entropy_bottleneck)
        latent_size = tuple(side // self.downsampling_factor
                            for side in coded_size)
        with self._entropy_arithmetic(device):
            return self.decode_latent(decoders, latent_size,
                                      **self.controls_of(condition))

    @property
    def bytes_per_pixel(self) -> int:
        """See :attr:`ImageCodec.bytes_per_pixel`."""
        # Four bytes for each channel, and a position for every four pixels.
        return self.hidden_maps * len(next(self.g_a.parameters()))

    @abstractmethod
    def quantise_latent(self,
                        y: Tensor,
                        with_likelihoods: bool = True,
                        quality: Quality | None = None) -> CodecOutput:
        """Quantise a latent.

        Args:
            y: Shape (B, M, h, w).
            with_likelihoods: False leaves them out.
            quality: Of a codec with several.

        Returns:
            Output with ``y_hat``, ``likelihoods`` and, if
            :meth:`needs_symbols`, ``symbols`` of each stream.
        """

    @abstractmethod
    def decode_latent(self,
                      decoders: dict[str, SymbolDecoder],
                      latent_size: tuple[int, int],
                      quality: float | None = None) -> Tensor:
        """Decode ``y_hat`` (1, M, h, w).

        Args:
            decoders: A decoder for each named stream.
            latent_size: Height and width of the smallest latent.
            quality: Of a codec with several.

        Returns:
            ``y_hat``, shape (1, M, h, w).
        """

    def integer_layers(self, name: str) -> nn.Module:
        """The layers of an entropy network that have an integer form."""
        return self.get_submodule(name)

    def fixed_point(self, name: str) -> FixedPointNetwork:
        """One of :attr:`entropy_networks` in integers, from its weights now.

        Raises:
            RuntimeError: If its weights have outgrown the settings that a
                former portable codec brought.
            ValueError: If a layer has no integer form, or its weights are too
                large.
        """
        settings = getattr(self, _settings_of(name))
        tensors = [*self.get_submodule(name).parameters()]
        if settings is not None:
            tensors.append(settings)
        return self._cache.get(
            name, tensors,
            lambda: FixedPointNetwork(self.integer_layers(name), settings))

    def run_entropy_network(self, name: str, x: Tensor, **controls) -> Tensor:
        """Run one of :attr:`entropy_networks`; see :attr:`in_integers`.

        Controls are those of a :class:`~mmhmc.codecs.layers.Transform`; those
        that the network does not list are left out. The gradient is that of
        the network in floating point.
        """
        network = self.get_submodule(name)
        controls = known_controls(network, controls)
        if not self.in_integers:
            return network(x, **controls)
        exact = self.fixed_point(name)(x, **controls)
        learns = any(t.requires_grad for t in (x, *network.parameters()))
        if not (learns and torch.is_grad_enabled()):
            return exact
        smooth = network(x.to(exact.dtype), **controls)
        return exact + (smooth - smooth.detach())

    def run_hyper_analysis(self, y: Tensor, **controls) -> Tensor:
        """Latent (B, M, h, w) to hyper-latent ``z``, before its gain."""
        controls = known_controls(self.h_a, controls)
        if not self.in_integers:
            return self.h_a(y, **controls)
        # A kernel may round differently for a batch.
        each = [dict(controls) for _ in y]
        if isinstance(controls.get('quality'), Sequence):
            each = [dict(controls, quality=q) for q in controls['quality']]
        return torch.cat(
            [self.h_a(one, **alone) for one, alone in zip(y.split(1), each)])

    def train(self, mode: bool = True) -> 'CompressAICodec':
        """Set the mode, and empty the cache of integer networks and tables.

        mmengine's EMA hook swaps weights through ``.data``, which torch does
        not count as a change, and calls this afterwards.
        """
        self._cache.forget()
        return super().train(mode)

    def decoding_tensors(self) -> Iterator[tuple[str, Tensor]]:
        """See :meth:`ImageCodec.decoding_tensors`."""
        yield from self._table_buffers()
        if hasattr(self.entropy_bottleneck, 'quantiles'):
            yield 'medians', self.entropy_bottleneck.quantiles[:, 0, 1]
        for name in self.entropy_networks:
            network = self.get_submodule(name)
            for key, parameter in network.named_parameters():
                yield f'{name}.{key}', parameter
            settings = getattr(self, _settings_of(name))
            if settings is not None and self.in_integers:
                yield _settings_of(name), settings
        yield from super().decoding_tensors()

    @property
    def arithmetic(self) -> bytes:
        """See :attr:`ImageCodec.arithmetic`."""
        former = any(
            getattr(self, _settings_of(name)) is not None
            for name in self.entropy_networks)
        if former or not (self.entropy_networks and self.in_integers):
            return b''
        return ARITHMETIC

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        if f'{prefix}QuantABCD.0.weight' in state_dict and not hasattr(
                self, 'QuantABCD'):
            raise RuntimeError(
                'The weights are of a codec of CompressAI with several rates, '
                f'and {type(self).__name__} has no gain for all channels: '
                'build ScaleHyperpriorVBR, MeanScaleHyperpriorVBR or '
                'JointAutoregressiveVBR.')
        for name in self.entropy_networks:
            key = _settings_of(name)
            new = state_dict.get(prefix + key)
            if new is not None:
                setattr(
                    self, key,
                    new.to(
                        self.entropy_bottleneck.quantiles.device, copy=True))
            elif any(k.startswith(f'{prefix}{name}.') for k in state_dict):
                # Only if its weights come: a host's checkpoint has neither.
                setattr(self, key, None)
        super()._load_from_state_dict(state_dict, prefix, *args)


def _settings_of(network: str) -> str:
    """Name of the buffer with a network's settings in fixed point."""
    return f'{network.replace(".", "_")}_fixed_point'


def _without_pointwise_stride(conv: nn.Conv2d) -> nn.Conv2d:
    if conv.kernel_size == (1, 1) and conv.stride != (1, 1):
        return convolution_of(PointwiseStridedConv2d, conv)
    return conv


def check_channels(**channels: int) -> None:
    """Refuse channel counts that are not positive integers.

    Raises:
        ValueError: With the name and the value.
    """
    for name, value in channels.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(f'`{name}` must be a positive integer, '
                             f'got {value!r}.')
