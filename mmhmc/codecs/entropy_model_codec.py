"""Codecs with entropy models of CompressAI: quantising, symbols, tables."""
import hashlib
from collections.abc import Iterator
from copy import deepcopy
from functools import partial

import torch
from torch import Tensor, nn
from torch._compile import _disable_dynamo

from mmhmc.bitstream import CdfTables, SymbolDecoder, find_levels
from mmhmc.compat import respell_bottleneck
from mmhmc.former_names import former_arguments
from mmhmc.functional.rounding import round_ste
from mmhmc.structures import LatentSymbols
from .latent_search import relaxation
from .variable_rate import VariableRateCodec

_TABLE_BUFFERS = ('_quantized_cdf', '_offset', '_cdf_length', 'scale_table')
#: Scales that have a table, evenly spaced by logarithm from 0.11 to 256. With
#: the nearest one a symbol costs at most 0.0004 bits more than with its own.
SCALE_LEVELS = 256
#: Latents that training can decode.
QUANTISERS = ('noise', 'straight_through')


class EntropyModelCodec(VariableRateCodec):
    """A codec with an ``entropy_bottleneck`` and perhaps a Gaussian model.

    Tables are made from the weights of the bottlenecks, whose quantiles need
    no gradient and no auxiliary loss: :meth:`update_entropy_tables` solves
    for them. Another entropy model is named in :meth:`_entropy_models`.
    """

    #: The latent that training decodes, one of :data:`QUANTISERS`.
    quantiser: str = 'noise'
    #: Smallest and largest scale that have tables, and how many have.
    scale_range: tuple[float, float] = (0.11, 256.)
    scale_levels: int = SCALE_LEVELS
    # Digest of the weights for which the tables were made.
    _tables_of: bytes | None = None

    # CompressAI permutes by numpy, which `torch.compile` traces wrongly.
    @_disable_dynamo
    @former_arguments(rate='with_likelihoods')
    def run_bottleneck(
            self,
            z: Tensor,
            with_likelihoods: bool = True,
            name: str = 'entropy_bottleneck') -> tuple[Tensor, Tensor | None]:
        """Quantise ``z`` by an entropy bottleneck.

        Args:
            z: Shape (B, C, h, w).
            with_likelihoods: False leaves them out.
            name: Name of the bottleneck, here and below.

        Returns:
            ``z_hat`` and its likelihoods, both (B, C, h, w).
        """
        bottleneck = self.get_submodule(name)
        medians = _medians_of(bottleneck)
        if relaxation() is not None:
            latent = next(stream for stream, model in self._entropy_models()
                          if model is bottleneck)
            z_hat = relaxation()(latent, z - medians) + medians
            return z_hat, _bottleneck_likelihoods(bottleneck, z_hat)
        if not with_likelihoods:
            rounded = round_ste if self.training else torch.round
            return rounded(z - medians) + medians, None
        z_hat, likelihoods = bottleneck(z)
        return self.decoded_in_training(z, z_hat, medians), likelihoods

    @former_arguments(rate='with_likelihoods')
    def run_conditional(
            self,
            y: Tensor,
            scales_hat: Tensor,
            means_hat: Tensor | None = None,
            with_likelihoods: bool = True) -> tuple[Tensor, Tensor | None]:
        """Quantise ``y`` by its Gaussians, as :meth:`run_bottleneck`."""
        if with_likelihoods:
            y_hat, likelihoods = self.gaussian_conditional(
                y, scales_hat, means=means_hat)
            return self.decoded_in_training(y, y_hat, means_hat), likelihoods
        if means_hat is None:
            return torch.round(y), None
        return torch.round(y - means_hat) + means_hat, None

    def conditional_likelihoods(self,
                                y_hat: Tensor,
                                scales_hat: Tensor,
                                means_hat: Tensor,
                                width: Tensor | int = 1) -> Tensor:
        """Likelihoods of given values, rounded or not, of one shape.

        Args:
            y_hat: The values.
            scales_hat: Scales of their Gaussians.
            means_hat: Means of their Gaussians.
            width: Width of the bin around each of them.
        """
        model = self.gaussian_conditional
        distances = (y_hat - means_hat).abs()
        scales = model.lower_bound_scale(scales_hat)
        upper, lower = (
            model._standardized_cumulative((half - distances) / scales)
            for half in (width / 2, -width / 2))
        return model.likelihood_lower_bound(upper - lower)

    def decoded_in_training(self,
                            t: Tensor,
                            t_hat: Tensor,
                            means: Tensor | None = None) -> Tensor:
        """The quantised latent that is decoded, by the ``quantiser``.

        Args:
            t: The latent.
            t_hat: From its entropy model: with noise in training.
            means: Centres of rounding; zero if not given.
        """
        if not self.training or self.quantiser == 'noise':
            return t_hat
        return round_ste(t) if means is None else round_ste(t - means) + means

    def bottleneck_symbols(self,
                           z: Tensor,
                           name: str = 'entropy_bottleneck') -> LatentSymbols:
        """Symbols of a latent of an entropy bottleneck, (1, C, h, w)."""
        bottleneck = self.get_submodule(name)
        medians = _medians_of(bottleneck)
        symbols = torch.round(z[0] - medians).int()
        indexes = self._bottleneck_indexes(bottleneck, z.shape[-2:])
        return LatentSymbols(symbols.flatten(), indexes)

    def read_bottleneck(self,
                        decoder: SymbolDecoder,
                        size: tuple[int, int],
                        name: str = 'entropy_bottleneck') -> Tensor:
        """Inverse of :meth:`bottleneck_symbols`, (1, C, h, w)."""
        bottleneck = self.get_submodule(name)
        medians = _medians_of(bottleneck)
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

    # `torch.compile` cannot trace our C++.
    @_disable_dynamo
    def scale_indexes(self, scales_hat: Tensor) -> Tensor:
        """Table of each scale, int32: the nearest one, by logarithm.

        Exact: borders are float32 numbers that do not depend on the device,
        and so are the scales of a portable codec.
        """
        table = self.gaussian_with_tables().scale_table
        borders = self._cache.get('borders', (table, ),
                                  partial(_borders_of, table))
        return find_levels(scales_hat, borders)

    def nearly_scale_indexes(self, scales_hat: Tensor) -> Tensor:
        """As :meth:`scale_indexes`, without waiting for a GPU.

        For training and estimates. What is no number has the last table.
        """
        table = self.gaussian_with_tables().scale_table
        borders = self._cache.get('borders', (table, ),
                                  partial(_borders_of, table))
        levels = torch.bucketize(
            scales_hat.detach().contiguous(), borders, out_int32=True)
        return levels.clamp(max=len(table) - 1)

    def entropy_tables(self) -> dict[str, CdfTables]:
        """See :meth:`ImageCodec.entropy_tables`.

        The same objects as long as the tables stay what they are.
        """
        tables = {}
        for name, part in self._entropy_models():
            parts = part._quantized_cdf, part._cdf_length, part._offset
            tables[name] = self._cache.get(f'tables of {name}', parts,
                                           partial(CdfTables, *parts))
        return tables

    def _entropy_models(self) -> Iterator[tuple[str, nn.Module]]:
        if hasattr(self, 'gaussian_conditional'):
            yield 'z', self.entropy_bottleneck
            yield 'y', self.gaussian_conditional
        else:
            yield 'y', self.entropy_bottleneck

    @torch.inference_mode(False)
    @torch.no_grad()
    def update_entropy_tables(self, update_quantiles: bool = True) -> None:
        """See :meth:`ImageCodec.update_entropy_tables`."""
        for bottleneck in self._bottlenecks().values():
            bottleneck.update(force=True, update_quantiles=update_quantiles)
        if hasattr(self, 'gaussian_conditional'):
            self._make_tables(self.gaussian_conditional)
        self._forget_hidden()
        self._tables_of = _digest(self._bottleneck_parameters())

    def gaussian_with_tables(self) -> nn.Module:
        """The Gaussian conditional, or a copy with tables if it has none.

        Its tables need no weights. Those of a model that learns stay as they
        are: ``EMAHook`` swaps them with others of the same size.
        """
        model = self.gaussian_conditional
        if model._quantized_cdf.numel():
            return model
        return self._cache.get('gaussian', (model._quantized_cdf, ),
                               lambda: self._make_tables(deepcopy(model)))

    @torch.inference_mode(False)
    @torch.no_grad()
    def _make_tables(self, model: nn.Module) -> nn.Module:
        """Make the tables of the Gaussians."""
        from compressai.models.base import get_scale_table
        model.update_scale_table(
            get_scale_table(*self.scale_range, self.scale_levels), force=True)
        return model

    def refresh_entropy_tables(self) -> None:
        """See :meth:`ImageCodec.refresh_entropy_tables`."""
        if self._tables_of == _digest(self._bottleneck_parameters()):
            self._forget_hidden()
        else:
            self.update_entropy_tables()

    def load_training_state(self, state_dict: dict[str, Tensor]) -> None:
        """See :meth:`ImageCodec.load_training_state`."""
        tables_of = self._tables_of
        super().load_training_state(state_dict)
        self._tables_of = tables_of

    @property
    def tables_can_change(self) -> bool:
        """See :attr:`ImageCodec.tables_can_change`."""
        return any(parameter.requires_grad
                   for parameter in self._bottleneck_parameters().values())

    def _table_buffers(self) -> Iterator[tuple[str, Tensor]]:
        for name, part in self._entropy_models():
            for buffer in _TABLE_BUFFERS:
                if torch.is_tensor(getattr(part, buffer, None)):
                    yield f'{name}.{buffer}', getattr(part, buffer)

    def drop_entropy_tables(self) -> None:
        """See :meth:`ImageCodec.drop_entropy_tables`."""
        for _, part in self._entropy_models():
            for name in _TABLE_BUFFERS:
                old = getattr(part, name, None)
                if torch.is_tensor(old):
                    setattr(part, name, old.new_empty(0))
        self._tables_of = None

    def _bottlenecks(self) -> dict[str, nn.Module]:
        return {
            name: part
            for name, part in self.named_modules()
            if hasattr(part, 'quantiles')
        }

    def _bottleneck_parameters(self) -> dict[str, Tensor]:
        """Weights from which the tables are made, by name."""
        return {
            f'{name}.{key}': parameter
            for name, part in self._bottlenecks().items()
            for key, parameter in part.named_parameters()
        }

    @torch.inference_mode(False)
    @torch.no_grad()
    def _forget_hidden(self) -> None:
        """Set masked weights to zero, which an optimizer changes too.

        Codecs that decode alike have equal weights then.
        """
        for part in self.modules():
            if hasattr(part, 'mask') and part.weight[part.mask == 0].any():
                part.weight.masked_fill_(part.mask == 0, 0)

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        for name, part in self._bottlenecks().items():
            names = dict(part.named_parameters())
            respell_bottleneck(state_dict, f'{prefix}{name}.', names)
        # Sizes of tables depend on the weights: adapt to those that come.
        for name, part in self.named_modules():
            for buffer in _TABLE_BUFFERS:
                new = state_dict.get(f'{prefix}{name}.{buffer}')
                old = getattr(part, buffer, None)
                if new is not None and torch.is_tensor(old):
                    setattr(part, buffer, old.new_empty(new.shape))
        self._note_tables(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _note_tables(self, state_dict: dict, prefix: str) -> None:
        """Assume that a checkpoint's tables were made from its weights."""
        coming = {
            name: state_dict.get(prefix + name, parameter)
            for name, parameter in self._bottleneck_parameters().items()
        }
        tables = [
            state_dict.get(f'{prefix}{name}._quantized_cdf')
            for name, part in self.named_modules()
            if hasattr(part, '_quantized_cdf')
        ]
        if all(table is not None and table.numel() for table in tables):
            self._tables_of = _digest(coming)


def _borders_of(scale_table: Tensor) -> Tensor:
    """Borders between the scales of a table, by logarithm."""
    # IEEE 754 fixes products and roots on a CPU; GPUs may approximate.
    exact = scale_table.cpu().double()
    return (exact[:-1] * exact[1:]).sqrt().float().to(scale_table.device)


def _medians_of(bottleneck: nn.Module) -> Tensor:
    """Centres of rounding, shape (C, 1, 1)."""
    return bottleneck.quantiles.detach()[:, 0, 1].view(-1, 1, 1)


def _bottleneck_likelihoods(bottleneck: nn.Module, z_hat: Tensor) -> Tensor:
    """Likelihoods (B, C, h, w) of given values, rounded or not."""
    by_channel = z_hat.transpose(0, 1)
    likelihoods = bottleneck._likelihood(
        by_channel.reshape(len(by_channel), 1, -1))
    if isinstance(likelihoods, tuple):  # since CompressAI 1.2.8
        likelihoods = likelihoods[0]
    return bottleneck.likelihood_lower_bound(likelihoods).reshape(
        by_channel.shape).transpose(0, 1)


def _digest(tensors: dict[str, Tensor]) -> bytes:
    """SHA-256 of the values of some tensors, in float32."""
    result = hashlib.sha256()
    for name, tensor in tensors.items():
        result.update(name.encode())
        # A copy: FSDP could not free memory that numpy has seen.
        values = tensor.detach().to('cpu', torch.float32, copy=True)
        result.update(values.contiguous().numpy())
    return result.digest()
