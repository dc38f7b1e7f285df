"""Codecs whose Gaussian latent can be coded in layers."""
import math
from abc import abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mmhmc.bitstream import Bitstream, CdfTables, LayerTables, SymbolDecoder
from mmhmc.functional.devices import is_estimating
from mmhmc.structures import CodecOutput, Condition, LatentSymbols
from .compressai_codec import CompressAICodec
from .embedded import (BASE, LayeredLatent, Layers, channel_groups,
                       check_layers, layers_of_file, mark, nested_noise,
                       unmark, use_layers)

#: Selects the elements of a step from a latent (B, M, h, w).
Select = Callable[[Tensor], Tensor]
#: Codes a step: its ``Select``, scales and means to its part of ``y_hat``.
CodeStep = Callable[[Select, Tensor, Tensor], Tensor]


class EmbeddedCodec(CompressAICodec):
    """Part of a codec with a Gaussian latent: embedded quantisation.

    .. code-block:: none

        s = round(y - means) ──► s = 3 c + r ─┬─► c ──► stream y0, the base
                                              └─► r ──► stream y1

    With ``layers=[3]`` the integers of ``y`` are coded in two layers. The
    file can be cut after the base, which decodes alone; with the enhancement
    each integer is what it is in one layer, and costs the same bytes, but for
    the coder's states and a longer header. ``[3, 3]`` gives three layers. A
    bin of the base stands for the mean of its integers.

    Where scales and means of some elements follow from others, they follow
    from the base of these: so the base decodes alone, and the enhancement
    pays for the coarser context.

    The base says its factors, so that a codec with other layers, or none,
    decodes the file. Where a factor is a list, one for each channel, only a
    codec with the same list does.
    """

    #: Whether the entropy parameters of some elements depend on others. Then
    #: evaluation codes image after image, and without gradients.
    autoregressive: bool = False

    @abstractmethod
    def run_context_model(
            self, params: Tensor,
            code_step: CodeStep) -> tuple[Tensor, Tensor, Tensor]:
        """Predict scales and means step by step, and code each step.

        Args:
            params: From ``h_s``, shape (B, P, h, w).
            code_step: Called at each step with a function that selects its
                elements from a latent, their scales and their means, each of
                one shape, e.g. (B, c, h', w'); returns their ``y_hat``, of
                the same shape.

        Returns:
            ``y_hat``, ``scales_hat`` and ``means_hat``, all (B, M, h, w).
        """

    @property
    def layers(self) -> Layers:
        """See :attr:`StreamCoder.layers`."""
        of_file = layers_of_file()
        return self._layers if of_file is None else of_file

    @layers.setter
    def layers(self, layers: Sequence) -> None:
        """Code the latent in layers from now on, or in one."""
        self._layers = check_layers(layers or (), self.latent_channels)

    @property
    def optional_streams(self) -> tuple[str, ...]:
        """See :attr:`StreamCoder.optional_streams`."""
        return self._names[1:]

    @property
    def _names(self) -> tuple[str, ...]:
        """Names of the layers' streams."""
        if not self.layers:
            return ('y', )
        return (BASE, *(f'y{j}' for j in range(1, len(self.layers) + 1)))

    def entropy_tables(self) -> dict[str, CdfTables]:
        """See :meth:`ImageCodec.entropy_tables`; of each layer."""
        tables = super().entropy_tables()
        if not self.layers:
            return tables
        fine = tables.pop('y')
        if not fine.cdf.numel():
            return {**tables, **dict.fromkeys(self._names, fine)}
        return {**tables, **dict(zip(self._names, self.layer_tables().tables))}

    def layer_tables(self) -> LayerTables:
        """Tables by which the integers are split, made of those of ``y``.

        They need no weights, so they are made if there are none.
        """
        model = self.gaussian_conditional
        if not model._quantized_cdf.numel():
            self.update_gaussian_tables()
        widths, _ = channel_groups(self.layers, self.latent_channels)
        fine = super().entropy_tables()['y']
        return self._cache.get(f'layers {widths}',
                               (fine.cdf, fine.lengths, fine.offsets),
                               lambda: LayerTables(fine, widths))

    def _groups(self) -> Tensor | None:
        """Group of each channel in the tables, (1, M, 1, 1); None: one."""
        widths, groups = channel_groups(self.layers, self.latent_channels)
        if len(widths) == 1:
            return None
        device = self.gaussian_conditional._quantized_cdf.device
        return torch.tensor(
            groups, dtype=torch.int32, device=device).view(1, -1, 1, 1)

    def row_finder(self,
                   shape: Sequence[int]) -> Callable[[Select, Tensor], Tensor]:
        """Gives the rows of a step in the tables, from its scales, int32.

        Args:
            shape: Of the latent.
        """
        find = self.scale_indexes
        if self.training or is_estimating():
            find = self.nearly_scale_indexes
        groups = self._groups()
        if groups is None:
            return lambda select, scales_hat: find(scales_hat)
        groups = groups.expand(shape) * self.layer_tables().num_tables
        return lambda select, scales_hat: find(scales_hat) + select(groups)

    def quantise_in_layers(self, params: Tensor, y: Tensor,
                           with_likelihoods: bool) -> CodecOutput:
        """Quantise ``y`` where the hyper-latent is known; in layers.

        Args:
            params: From ``h_s``, shape (B, P, h, w).
            y: Shape (B, M, h, w).
            with_likelihoods: False leaves them out.

        Returns:
            Output without what ``z`` adds.
        """
        steps = []
        if self.training or is_estimating():
            latent = self.quantise_base(y, params)
        else:
            y_base, scales, means, steps = self._quantise_each(
                y, params, self._quantise_base_of_one)
            latent = LayeredLatent(y_base, scales, means, self.autoregressive)
        tables = self.layer_tables()
        rows = self.row_finder(y.shape)(select_all, latent.scales)
        residuals = y - latent.means
        integers = residuals.detach().round().int()
        bins = [
            tables.bins(j, integers, rows) for j in range(len(self._names))
        ]
        latents = [
            latent.y_hat(tables, j, one, bins[0], rows)
            for j, one in enumerate(bins)
        ]
        if not steps and y.requires_grad:
            # The gradient of the identity.
            latents = [y + (one - y).detach() for one in latents]
        widths = [tables.widths(j, rows) for j in range(len(bins))]
        centres = [
            latent.means + one * width for one, width in zip(bins, widths)
        ]
        if self.training:
            centres = nested_noise(y, widths)
            if self.quantiser == 'noise':
                latents = centres
        *coarser, y_hat = latents
        output = CodecOutput(y_hat, y_layers=coarser)
        if with_likelihoods:
            output.likelihoods = self._shares(latent, centres, widths)
        if self.needs_symbols(y):
            output.symbols = self._layer_symbols(tables, steps, integers, rows)
        return output

    def quantise_base(self, y: Tensor, params: Tensor) -> LayeredLatent:
        """The base of a batch that no decoder will have to follow.

        Args:
            y: Shape (B, M, h, w).
            params: From ``h_s``, shape (B, P, h, w).
        """
        find_rows = self.row_finder(y.shape)
        tables = self.layer_tables()

        def quantise_step(select: Select, scales_hat: Tensor,
                          means_hat: Tensor) -> Tensor:
            seen = select(y)
            rows = find_rows(select, scales_hat)
            integers = (seen - means_hat).detach().round().int()
            bins = tables.bins(0, integers, rows)
            values = tables.points(0, bins, rows) + means_hat
            return seen + (values - seen).detach()

        return LayeredLatent(*self.run_context_model(params, quantise_step),
                             self.autoregressive)

    def _quantise_base_of_one(self, y: Tensor, params: Tensor) -> tuple:
        """As the decoder does; with bins and rows of each step."""
        find_rows = self.row_finder(y.shape)
        tables = self.layer_tables()
        steps = []

        def record_step(select: Select, scales_hat: Tensor,
                        means_hat: Tensor) -> Tensor:
            rows = find_rows(select, scales_hat)
            integers = torch.round(select(y) - means_hat).int()
            bins = tables.bins(0, integers, rows)
            steps.append((bins.flatten(), rows.flatten()))
            return tables.points(0, bins, rows) + means_hat

        return *self.run_context_model(params, record_step), steps

    def _shares(self, latent: LayeredLatent, centres: Sequence[Tensor],
                widths: Sequence[Tensor | int]) -> dict[str, Tensor]:
        """Likelihood of each layer, given those before it."""
        likelihoods, before = {}, None
        for name, centre, width in zip(self._names, centres, widths):
            joint = self.conditional_likelihoods(centre, latent.scales,
                                                 latent.means, width)
            likelihoods[name] = joint if before is None else \
                (joint / before).clamp(max=1)
            before = joint
        return likelihoods

    def _layer_symbols(self, tables: LayerTables, steps: list,
                       integers: Tensor,
                       rows: Tensor) -> dict[str, LatentSymbols]:
        bins, rows_of_steps = (torch.cat(parts) for parts in zip(*steps))
        base, *finer = self._names
        return {
            base: LatentSymbols(bins, rows_of_steps),
            **{
                name: tables.refine(j, integers.flatten(), rows.flatten())
                for j, name in enumerate(finer, 1)
            }
        }

    def decode_layers(self, params: Tensor,
                      decoders: dict[str, SymbolDecoder]) -> Tensor:
        """``y_hat`` of the layers that are there.

        Args:
            params: From ``h_s``, shape (1, P, h, w).
            decoders: A decoder for each named stream.
        """
        shape = (1, self.latent_channels, *params.shape[-2:])
        find_rows, tables = self.row_finder(shape), self.layer_tables()
        indexes = torch.arange(math.prod(shape), device=params.device)
        indexes, found = indexes.view(shape), []

        def decode_step(select: Select, scales_hat: Tensor,
                        means_hat: Tensor) -> Tensor:
            rows = find_rows(select, scales_hat)
            bins = decoders[BASE].decode(rows.flatten())
            found.append((bins, select(indexes).flatten()))
            bins = bins.view(means_hat.shape)
            return tables.points(0, bins, rows) + means_hat

        latent = LayeredLatent(*self.run_context_model(params, decode_step),
                               self.autoregressive)
        if len(found) == 1:
            coarse = found[0][0].view(shape)
        else:
            bins, places = (torch.cat(parts) for parts in zip(*found))
            coarse = torch.empty_like(bins)
            coarse[places] = bins
            coarse = coarse.view(shape)
        rows, layer = find_rows(select_all, latent.scales), 0
        bins = coarse.flatten()
        for layer, name in enumerate(self._names[1:], 1):
            if name not in decoders:
                layer -= 1
                break
            bins = tables.read(layer, decoders[name], bins, rows.flatten())
        return latent.y_hat(tables, layer, bins.view(shape), coarse, rows)

    def write(self,
              output: CodecOutput,
              size: tuple[int, int],
              condition: Condition = None) -> Bitstream:
        """See :meth:`ImageCodec.write`."""
        bitstream = super().write(output, size, condition)
        return mark(bitstream, self.layers) if self.layers else bitstream

    def _read(self, bitstream: Bitstream, condition: Condition) -> Tensor:
        bitstream, layers = unmark(bitstream, self.layers,
                                   self.latent_channels)
        with use_layers(layers):
            return super()._read(bitstream, condition)


def select_all(y: Tensor) -> Tensor:
    """Selects every element."""
    return y
