"""What all codecs over CompressAI's networks share."""
import hashlib
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from fractions import Fraction
from functools import partial
from typing import Optional

import torch
from torch import Tensor, nn
from torch._compile import _disable_dynamo

from mmhmc.bitstream import (CdfTables, SymbolDecoder, deterministic_kernels,
                             find_levels)
from mmhmc.compat import respell_bottleneck
from mmhmc.former_names import former_arguments
from mmhmc.functional.devices import is_hurrying
from mmhmc.functional.rounding import round_ste
from mmhmc.structures import CodecOutput, CodingCondition, LatentSymbols
from .base import ImageCodec
from .layers import DivisiveNorm, FixedPointNetwork
from .layers.fixed_point import ARITHMETIC

_TABLE_BUFFERS = ('_quantized_cdf', '_offset', '_cdf_length', 'scale_table')
#: Scales that have a table, evenly spaced by logarithm from 0.11 to 256. With
#: the nearest one a symbol costs at most 0.0004 bits more than with its own.
SCALE_LEVELS = 256

#: Names of what is decoded in training.
QUANTISERS = ('noise', 'straight_through')


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


class CompressAICodec(ImageCodec):
    """A codec that takes its parts from a CompressAI network.

    The parts keep their names, so that CompressAI's state dicts load as they
    are. Entropy models, and what feeds them, compute in float32 under
    autocast. The quantiles of the entropy bottleneck need no gradient and no
    auxiliary loss: :meth:`update_entropy_tables` solves for them.

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
        quantiser: What is decoded in training, one of :data:`QUANTISERS`. The
            rate is always that of latents with uniform noise, which it has a
            gradient through. ``'noise'`` decodes the same; images then look
            other than they will, and a host learns from them.
            ``'straight_through'`` decodes latents that are rounded, with the
            gradient of the identity (D. Minnen, S. Singh: "Channel-wise
            Autoregressive Entropy Models for Learned Image Compression",
            ICIP 2020, https://arxiv.org/abs/2007.08739).

    Raises:
        ValueError: If a channel count is not positive, or the quantiser is
            unknown.
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
                 init_cfg: Optional[dict] = None,
                 quantiser: str = 'noise') -> None:
        from compressai.layers import GDN
        super().__init__(init_cfg)
        _check_channels(
            hidden_channels=hidden_channels, latent_channels=latent_channels)
        if quantiser not in QUANTISERS:
            raise ValueError(f'`quantiser` must be one of {QUANTISERS}, got '
                             f'{quantiser!r}.')
        self.quantiser = quantiser
        self.latent_channels = latent_channels
        network = self.build_network(hidden_channels, latent_channels)
        for name, part in network.named_children():
            self.add_module(name, part)
        self.entropy_bottleneck.quantiles.requires_grad_(False)
        for part in network.modules():
            if type(part) is GDN:
                part.__class__ = DivisiveNorm
        for part in self.g_a.modules():
            if (isinstance(part, nn.Conv2d) and part.kernel_size == (1, 1)
                    and part.stride != (1, 1)):
                part.__class__ = PointwiseStridedConv2d
        for name in self.entropy_networks:
            self.register_buffer(_settings_of(name), None)
        # Without such networks the tables alone decide.
        self.portable = bool(portable) or not self.entropy_networks
        self._tables_of: Optional[bytes] = None

    @staticmethod
    @abstractmethod
    def build_network(hidden_channels: int, latent_channels: int) -> nn.Module:
        """CompressAI's network, whose parts are taken."""

    @former_arguments(rate='with_likelihoods')
    def encode_latents(self,
                       x: Tensor,
                       condition: Optional[CodingCondition] = None,
                       with_likelihoods: bool = True) -> CodecOutput:
        """See :meth:`ImageCodec.encode_latents`."""
        self.check_input(x, condition)
        y = self.run_transform(self.g_a, x, Fraction(1, 16))
        self._check_latent(y)
        with self._arithmetic_of_priors(x.device):
            # The decoder has no other memory format.
            return self.quantise_latent(y.float().contiguous(),
                                        with_likelihoods)

    @contextmanager
    def _arithmetic_of_priors(self, device: torch.device) -> Iterator[None]:
        """No autocast, and where floating point decides no free choice."""
        free = self.training or self.in_integers or is_hurrying()
        with torch.autocast(device.type, enabled=False), \
                nullcontext() if free else deterministic_kernels():
            yield

    def decode_latents(self,
                       y_hat: Tensor,
                       condition: Optional[CodingCondition] = None) -> Tensor:
        """See :meth:`ImageCodec.decode_latents`."""
        return self.run_transform(self.g_s, y_hat, Fraction(16)).float()

    def needs_symbols(self, y: Tensor) -> bool:
        """Whether what is made of latents (B, M, h, w) is to be written."""
        return len(y) == 1 and not (self.training or is_hurrying())

    def _check_latent(self, y: Tensor) -> None:
        if self.training or not self.may_look_at(y):
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
                     condition: Optional[CodingCondition] = None) -> Tensor:
        """See :meth:`ImageCodec.read_latents`."""
        device = self.entropy_bottleneck.quantiles.device
        latent_size = tuple(side // self.downsampling_factor
                            for side in coded_size)
        with self._arithmetic_of_priors(device):
            return self.decode_latent(decoders, latent_size)

    @property
    def bytes_per_pixel(self) -> int:
        """See :attr:`ImageCodec.bytes_per_pixel`."""
        # Four bytes, and a position for every four pixels.
        return self.hidden_maps * len(next(self.g_a.parameters()))

    @abstractmethod
    def quantise_latent(self,
                        y: Tensor,
                        with_likelihoods: bool = True) -> CodecOutput:
        """Quantise ``y`` (B, M, h, w), and find its likelihoods."""

    @abstractmethod
    def decode_latent(self, decoders: dict[str, SymbolDecoder],
                      latent_size: tuple[int, int]) -> Tensor:
        """Decode ``y_hat`` (1, M, h, w).

        Args:
            decoders: A decoder for each named stream.
            latent_size: Height and width of the smallest latent.

        Returns:
            ``y_hat``, shape (1, M, h, w).
        """

    def integer_layers(self, name: str) -> nn.Module:
        """Layers that are computed in integers for a network."""
        return self.get_submodule(name)

    def fixed_point(self, name: str) -> FixedPointNetwork:
        """One of :attr:`entropy_networks` in integers, by present weights.

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
        return self._derived.get(
            name, tensors,
            lambda: FixedPointNetwork(self.integer_layers(name), settings))

    def run_entropy_network(self, name: str, x: Tensor, **controls) -> Tensor:
        """Run one of :attr:`entropy_networks`, in integers where they count.

        The gradient is that of the network in floating point.

        Args:
            name: Which one.
            x: What it is given.
            controls: For networks that know them, e.g. ``quality``.

        Returns:
            As the network gives it.
        """
        network = self.get_submodule(name)
        if not self.in_integers:
            return network(x, **controls)
        exact = self.fixed_point(name)(x, **controls)
        learns = any(t.requires_grad for t in (x, *network.parameters()))
        if not (learns and torch.is_grad_enabled()):
            return exact
        smooth = network(x.to(exact.dtype), **controls)
        return exact + (smooth - smooth.detach())

    def run_hyper_analysis(self, y: Tensor, **controls) -> Tensor:
        """Latent (B, M, h, w) to hyper-latent ``z``."""
        if not self.in_integers:
            return self.h_a(y, **controls)
        # A kernel may round differently for a batch.
        return torch.cat([self.h_a(one, **controls) for one in y.split(1)])

    # CompressAI permutes by numpy, which a tracer gets wrong.
    @_disable_dynamo
    @former_arguments(rate='with_likelihoods')
    def run_bottleneck(
            self,
            z: Tensor,
            with_likelihoods: bool = True,
            name: str = 'entropy_bottleneck'
    ) -> tuple[Tensor, Optional[Tensor]]:
        """Quantised ``z`` and, for the rate, likelihoods, (B, C, h, w).

        Here and below ``name`` is the entropy bottleneck that is meant.
        """
        bottleneck = self.get_submodule(name)
        medians = bottleneck.quantiles[:, 0, 1].view(-1, 1, 1)
        if not with_likelihoods:
            rounded = round_ste if self.training else torch.round
            return rounded(z - medians) + medians, None
        z_hat, likelihoods = bottleneck(z)
        return self.decoded_in_training(z, z_hat, medians), likelihoods

    def decoded_in_training(self,
                            t: Tensor,
                            t_hat: Tensor,
                            means: Optional[Tensor] = None) -> Tensor:
        """What is decoded of a latent, by the codec's ``quantiser``.

        Args:
            t: The latent.
            t_hat: What its entropy model made of it.
            means: What it is rounded around; zero if not given.
        """
        if not self.training or self.quantiser == 'noise':
            return t_hat
        return round_ste(t) if means is None else round_ste(t - means) + means

    @former_arguments(rate='with_likelihoods')
    def run_conditional(
            self,
            y: Tensor,
            scales_hat: Tensor,
            means_hat: Optional[Tensor] = None,
            with_likelihoods: bool = True) -> tuple[Tensor, Optional[Tensor]]:
        """Quantised ``y`` and, for the rate, likelihoods, (B, M, h, w)."""
        if with_likelihoods:
            y_hat, likelihoods = self.gaussian_conditional(
                y, scales_hat, means=means_hat)
            return self.decoded_in_training(y, y_hat, means_hat), likelihoods
        if means_hat is None:
            return torch.round(y), None
        return torch.round(y - means_hat) + means_hat, None

    def train(self, mode: bool = True) -> 'CompressAICodec':
        """As of every module; what was derived from weights is made anew."""
        # Whoever swaps weights through `.data`, unseen, calls this after it.
        self._derived.forget()
        return super().train(mode)

    @torch.inference_mode(False)
    @torch.no_grad()
    def update_entropy_tables(self, update_quantiles: bool = True) -> None:
        """See :meth:`ImageCodec.update_entropy_tables`."""
        from compressai.models.base import get_scale_table
        for bottleneck in self._bottlenecks():
            bottleneck.update(force=True, update_quantiles=update_quantiles)
        if hasattr(self, 'gaussian_conditional'):
            self.gaussian_conditional.update_scale_table(
                get_scale_table(levels=SCALE_LEVELS), force=True)
        self._forget_hidden()
        self._tables_of = _digest(self._prior_parameters())

    def refresh_entropy_tables(self) -> None:
        """See :meth:`ImageCodec.refresh_entropy_tables`."""
        if self._tables_of == _digest(self._prior_parameters()):
            self._forget_hidden()
        else:
            self.update_entropy_tables()

    def load_training_state(self, state_dict: dict[str, Tensor]) -> None:
        """See :meth:`ImageCodec.load_training_state`."""
        tables_of = self._tables_of
        super().load_training_state(state_dict)
        self._tables_of = tables_of

    def _bottlenecks(self) -> list[nn.Module]:
        return [part for part in self.modules() if hasattr(part, 'quantiles')]

    def _prior_parameters(self) -> dict[str, Tensor]:
        """What the tables are made of, by name."""
        return {
            f'{name}.{key}': parameter
            for name, part in self.named_modules()
            if hasattr(part, 'quantiles')
            for key, parameter in part.named_parameters()
        }

    @torch.inference_mode(False)
    @torch.no_grad()
    def _forget_hidden(self) -> None:
        """Set the weights that masks hide to zero.

        An optimizer changes them too; two codecs that decode alike are to
        have equal weights.
        """
        for part in self.modules():
            if hasattr(part, 'mask') and part.weight[part.mask == 0].any():
                part.weight.masked_fill_(part.mask == 0, 0)

    @property
    def tables_can_change(self) -> bool:
        """See :attr:`ImageCodec.tables_can_change`."""
        return any(parameter.requires_grad
                   for parameter in self._prior_parameters().values())

    def drop_entropy_tables(self) -> None:
        """See :meth:`ImageCodec.drop_entropy_tables`."""
        for _, part in self._entropy_models():
            for name in _TABLE_BUFFERS:
                old = getattr(part, name, None)
                if torch.is_tensor(old):
                    setattr(part, name, old.new_empty(0))
        self._tables_of = None

    def bottleneck_symbols(self,
                           z: Tensor,
                           name: str = 'entropy_bottleneck') -> LatentSymbols:
        """Symbols of what an entropy bottleneck codes, (1, C, h, w)."""
        bottleneck = self.get_submodule(name)
        medians = bottleneck.quantiles[:, 0, 1].view(-1, 1, 1)
        symbols = torch.round(z[0] - medians).int()
        indexes = self._bottleneck_indexes(bottleneck, z.shape[-2:])
        return LatentSymbols(symbols.flatten(), indexes)

    def read_bottleneck(self,
                        decoder: SymbolDecoder,
                        size: tuple[int, int],
                        name: str = 'entropy_bottleneck') -> Tensor:
        """Inverse of :meth:`bottleneck_symbols`, (1, C, h, w)."""
        bottleneck = self.get_submodule(name)
        medians = bottleneck.quantiles[:, 0, 1].view(-1, 1, 1)
        decoder.require(
            torch.full((len(medians), ), size[0] * size[1], dtype=torch.int64))
        symbols = decoder.decode(self._bottleneck_indexes(bottleneck, size))
        return (symbols.view(-1, *size) + medians)[None]

    @staticmethod
    def _bottleneck_indexes(bottleneck: nn.Module, size: tuple[int,
                                                               int]) -> Tensor:
        channels = torch.arange(
            bottleneck.channels,
            dtype=torch.int32,
            device=bottleneck.quantiles.device)
        return channels.repeat_interleave(size[0] * size[1])

    # A tracer cannot look into our C++.
    @_disable_dynamo
    def scale_indexes(self, scales_hat: Tensor) -> Tensor:
        """Table of each scale, int32: the nearest one, by logarithm.

        Exact: borders are float32 numbers that do not depend on the device,
        and so are the scales of a portable codec.
        """
        table = self.gaussian_conditional.scale_table
        if not table.numel():
            return torch.zeros_like(scales_hat, dtype=torch.int32)
        return find_levels(
            scales_hat, self._derived.get('borders', (table, ), self._borders))

    def _borders(self) -> Tensor:
        # IEEE 754 fixes products and roots, but GPUs may be told to hurry.
        table = self.gaussian_conditional.scale_table
        exact = table.cpu().double()
        return (exact[:-1] * exact[1:]).sqrt().float().to(table.device)

    def entropy_tables(self) -> dict[str, CdfTables]:
        """See :meth:`ImageCodec.entropy_tables`.

        The same objects as long as the tables stay what they are.
        """
        tables = {}
        for name, part in self._entropy_models():
            parts = part._quantized_cdf, part._cdf_length, part._offset
            tables[name] = self._derived.get(f'tables of {name}', parts,
                                             partial(CdfTables, *parts))
        return tables

    def decoding_tensors(self) -> Iterator[tuple[str, Tensor]]:
        """See :meth:`ImageCodec.decoding_tensors`."""
        for name, part in self._entropy_models():
            for buffer in _TABLE_BUFFERS:
                if torch.is_tensor(getattr(part, buffer, None)):
                    yield f'{name}.{buffer}', getattr(part, buffer)
        yield 'medians', self.entropy_bottleneck.quantiles[:, 0, 1]
        for name in self.entropy_networks:
            network = self.get_submodule(name)
            for key, parameter in network.named_parameters():
                yield f'{name}.{key}', parameter
            settings = getattr(self, _settings_of(name))
            if settings is not None and self.in_integers:
                yield _settings_of(name), settings

    @property
    def arithmetic(self) -> bytes:
        """See :attr:`ImageCodec.arithmetic`."""
        former = any(
            getattr(self, _settings_of(name)) is not None
            for name in self.entropy_networks)
        if former or not (self.entropy_networks and self.in_integers):
            return b''
        return ARITHMETIC

    def _entropy_models(self) -> Iterator[tuple[str, nn.Module]]:
        if hasattr(self, 'gaussian_conditional'):
            yield 'z', self.entropy_bottleneck
            yield 'y', self.gaussian_conditional
        else:
            yield 'y', self.entropy_bottleneck

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        for name, part in self.named_modules():
            if hasattr(part, 'quantiles'):
                names = dict(part.named_parameters())
                respell_bottleneck(state_dict, f'{prefix}{name}.', names)
        # Tables grow and shrink with the weights: take the size that comes.
        for name, part in self.named_modules():
            for buffer in _TABLE_BUFFERS:
                new = state_dict.get(f'{prefix}{name}.{buffer}')
                old = getattr(part, buffer, None)
                if new is not None and torch.is_tensor(old):
                    setattr(part, buffer, old.new_empty(new.shape))
        for name in self.entropy_networks:
            key = _settings_of(name)
            new = state_dict.get(prefix + key)
            if new is not None:
                setattr(
                    self, key,
                    new.to(
                        self.entropy_bottleneck.quantiles.device, copy=True))
            elif any(k.startswith(f'{prefix}{name}.') for k in state_dict):
                # Without weights, as in a host's checkpoint, this one stays
                # what it is.
                setattr(self, key, None)
        self._note_tables(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _note_tables(self, state_dict: dict, prefix: str) -> None:
        """Take the tables that a checkpoint brings for those of its weights.
        """
        coming = {
            name: state_dict.get(prefix + name, parameter)
            for name, parameter in self._prior_parameters().items()
        }
        tables = [
            state_dict.get(f'{prefix}{name}._quantized_cdf')
            for name, part in self.named_modules()
            if hasattr(part, '_quantized_cdf')
        ]
        if all(table is not None and table.numel() for table in tables):
            self._tables_of = _digest(coming)


def _settings_of(network: str) -> str:
    """Name of the buffer with a network's fixed point."""
    return f'{network.replace(".", "_")}_fixed_point'


def _digest(tensors: dict[str, Tensor]) -> bytes:
    """SHA-256 of the values of some tensors, in float32."""
    result = hashlib.sha256()
    for name, tensor in tensors.items():
        result.update(name.encode())
        # A copy: FSDP could not free memory that numpy has seen.
        values = tensor.detach().to('cpu', torch.float32, copy=True)
        result.update(values.contiguous().numpy())
    return result.digest()


def _check_channels(**channels: int) -> None:
    """Refuse channel counts that are not positive integers.

    Raises:
        ValueError: With the name and the value.
    """
    for name, value in channels.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(f'`{name}` must be a positive integer, '
                             f'got {value!r}.')
