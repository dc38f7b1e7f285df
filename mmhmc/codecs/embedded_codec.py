"""Codecs whose Gaussian latent can be coded in layers."""
import math
from abc import abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mmhmc.bitstream import (Bitstream, CdfTables, LayerTables, ShiftedTables,
                             SymbolDecoder)
from mmhmc.functional.devices import is_estimating
from mmhmc.structures import CodecOutput, Condition, LatentSymbols
from .compressai_codec import CompressAICodec
from .embedded import (BASE, LayeredLatent, Layers, channel_kinds,
                       check_layers, layers_of_file, mark, nested_noise,
                       unmark, use_layers, widths_of)
from .latent_search import relaxation

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

    Where scales and means of some elements follow from others, those of the
    base follow from the base of these, so that it decodes alone. For each
    further layer they are predicted again, in the same steps, from the layer
    itself. Integers keep the base's means as centres of rounding; where the
    new means lie beside them is part of the choice of the table.

    A factor may be a dict, e.g. ``dict(levels=[80, 100], factors=[7, 5,
    3])``: elements whose Gaussian has one of the first 80 tables of scales
    are coarsest, those from table 100 finest. It may be a list, too, of one
    for each channel.

    The base says its factors, so that a codec with other layers, or none,
    decodes the file. With factors for each channel only a codec with the same
    list does.
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
        of_layers = self.layer_tables().tables
        if self.autoregressive:
            of_layers = of_layers[:1] + self.shifted_tables().tables
        return {**tables, **dict(zip(self._names, of_layers))}

    def layer_tables(self) -> LayerTables:
        """Tables by which the integers are split, made of those of ``y``.

        They need no weights, so a codec without tables has these.
        """
        model = self.gaussian_with_tables()
        parts = model._quantized_cdf, model._cdf_length, model._offset
        kinds, _ = channel_kinds(self.layers, self.latent_channels)

        def make() -> LayerTables:
            fine = CdfTables(*parts)
            return LayerTables(fine, [
                widths_of(kind, level) for kind in kinds
                for level in range(len(fine.lengths))
            ])

        return self._cache.get(f'layers {kinds}', parts, make)

    def shifted_tables(self) -> ShiftedTables:
        """Tables of further layers that are predicted anew."""
        widths = self.layer_tables().kinds
        scales = self.gaussian_with_tables().scale_table
        return self._cache.get(f'shifted layers {widths}', (scales, ),
                               lambda: ShiftedTables(scales, widths))

    def predict_given(self, params: Tensor,
                      y_hat: Tensor) -> tuple[Tensor, Tensor]:
        """Scales and means of all elements where ``y_hat`` is known.

        Args:
            params: From ``h_s``, shape (B, P, h, w).
            y_hat: Shape (B, M, h, w).

        Returns:
            Both (B, M, h, w): what :meth:`run_context_model` finds on the way
            to this ``y_hat``.
        """
        return self.run_context_model(params,
                                      lambda select, *_: select(y_hat))[1:]

    def _predict_layers(
            self, params: Tensor, latent: LayeredLatent,
            latents: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
        """Scales and means under which each layer is coded."""
        own = latent.scales, latent.means
        if not latent.sees_base:
            return [own] * len(latents)
        if self.training or is_estimating():
            return [own] + [
                self.predict_given(params, one) for one in latents[1:]
            ]
        with torch.no_grad():
            # Image after image, as the decoder does.
            each = [[
                self.predict_given(*pair)
                for pair in zip(params.split(1), one.split(1))
            ] for one in latents[1:]]
        return [own] + [
            tuple(torch.cat(parts) for parts in zip(*pairs)) for pairs in each
        ]

    def _groups(self) -> Tensor | None:
        """Group of each channel in the tables, (1, M, 1, 1); None: one."""
        kinds, groups = channel_kinds(self.layers, self.latent_channels)
        if len(kinds) == 1:
            return None
        device = self.gaussian_with_tables()._quantized_cdf.device
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
        if relaxation() is not None:
            latent, y = self._relax_base(y, params)
        elif self.training or is_estimating():
            latent = self.quantise_base(y, params)
        else:
            y_base, scales, means, steps = self._quantise_each(
                y, params, self._quantise_base_of_one)
            latent = LayeredLatent(y_base, scales, means, self.autoregressive)
        tables = self.layer_tables()
        rows = self.row_finder(y.shape)(select_all, latent.scales)
        integers = (y - latent.means).detach().round().int()
        latents, centres = self._values_of_layers(y, latent, integers, rows)
        *coarser, y_hat = latents
        output = CodecOutput(y_hat, y_layers=coarser)
        predicted = []
        if with_likelihoods or self.needs_symbols(y):
            predicted = self._predict_layers(params, latent, latents)
        if with_likelihoods:
            output.likelihoods = self._shares(
                predicted, centres,
                [tables.widths(j, rows) for j in range(len(tables))])
        if self.needs_symbols(y):
            output.symbols = self._layer_symbols(steps, integers, rows,
                                                 predicted)
        return output

    def _values_of_layers(self, y: Tensor, latent: LayeredLatent,
                          integers: Tensor,
                          rows: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Latent of each layer, and the bins' centres that are coded."""
        tables, is_searched = self.layer_tables(), relaxation() is not None
        widths = [tables.widths(j, rows) for j in range(len(tables))]
        if self.training and self.quantiser == 'noise':
            centres = nested_noise(y, widths)
            return centres, centres
        bins = [tables.bins(j, integers, rows) for j in range(len(tables))]
        latents = [
            latent.y_hat(tables, j, one, bins[0], rows)
            for j, one in enumerate(bins)
        ]
        centres = nested_noise(y, widths) if self.training else [
            latent.means + one * width for one, width in zip(bins, widths)
        ]
        is_coded = not (is_searched or self.training or is_estimating())
        if y.requires_grad and not is_coded:
            # The gradient of the identity.
            latents = [y + (one - y).detach() for one in latents]
        if is_searched:
            centres = [y + (one - y).detach() for one in centres]
            latents[-1] = centres[-1] = y
        return latents, centres

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

    def _relax_base(self, y: Tensor,
                    params: Tensor) -> tuple[LayeredLatent, Tensor]:
        """The base of one latent in a search, step by step, with gradients.

        Also the latent in place of ``y`` that the search rounds.
        """
        find_rows, tables = self.row_finder(y.shape), self.layer_tables()
        relaxed, relax = _Gathered(y.shape, y.device), relaxation()

        def relax_step(select: Select, scales_hat: Tensor,
                       means_hat: Tensor) -> Tensor:
            values = relax('y', select(y) - means_hat)
            relaxed.put(select, values + means_hat)
            rows = find_rows(select, scales_hat)
            bins = tables.bins(0, values.detach().round().int(), rows)
            points = tables.points(0, bins, rows)
            return values + (points - values).detach() + means_hat

        latent = LayeredLatent(*self.run_context_model(params, relax_step),
                               self.autoregressive)
        return latent, relaxed.joined()

    def _quantise_base_of_one(self, y: Tensor, params: Tensor) -> tuple:
        """As the decoder does; with bins and rows of each step."""
        find_rows = self.row_finder(y.shape)
        tables = self.layer_tables()
        steps, places = [], _places(y.shape, y.device)

        def record_step(select: Select, scales_hat: Tensor,
                        means_hat: Tensor) -> Tensor:
            rows = find_rows(select, scales_hat)
            integers = torch.round(select(y) - means_hat).int()
            bins = tables.bins(0, integers, rows)
            steps.append(
                (bins.flatten(), rows.flatten(), select(places).flatten()))
            return tables.points(0, bins, rows) + means_hat

        return *self.run_context_model(params, record_step), steps

    def _shares(self, predicted: Sequence[tuple[Tensor, Tensor]],
                centres: Sequence[Tensor],
                widths: Sequence[Tensor | int]) -> dict[str, Tensor]:
        """Likelihood of each layer, given those before it."""
        likelihoods = {}
        for j, (name, known) in enumerate(zip(self._names, predicted)):
            share = self.conditional_likelihoods(centres[j], *known, widths[j])
            if j:
                before = self.conditional_likelihoods(centres[j - 1], *known,
                                                      widths[j - 1])
                share = (share / before).clamp(max=1)
            likelihoods[name] = share
        return likelihoods

    def _layer_symbols(
        self, steps: list, integers: Tensor, rows: Tensor,
        predicted: Sequence[tuple[Tensor,
                                  Tensor]]) -> dict[str, LatentSymbols]:
        coarse, rows_of_steps, places = (
            torch.cat(parts) for parts in zip(*steps))
        base, *finer = self._names
        symbols = {base: LatentSymbols(coarse, rows_of_steps)}
        tables, means = self.layer_tables(), predicted[0][1]
        for j, name in enumerate(finer, 1):
            coded = tables.refine(j, integers.flatten(), rows.flatten())
            if self.autoregressive:
                scales_hat, means_hat = predicted[j]
                bins = tables.bins(j - 1, integers, rows)
                indexes = self.shifted_tables().indexes(
                    j, _offsets(tables, j, bins, rows, means, means_hat),
                    self._rows_anew(rows, scales_hat))
                coded = LatentSymbols(coded.symbols[places],
                                      indexes.flatten()[places])
            symbols[name] = coded
        return symbols

    def _rows_anew(self, rows: Tensor, scales_hat: Tensor) -> Tensor:
        """Rows in the shifted tables, int32.

        Bins have the width that they have in the base, whatever the scale is
        by now.
        """
        tables = self.layer_tables()
        return tables.kind(rows) * tables.num_tables + \
            self.scale_indexes(scales_hat)

    def decode_layers(self, params: Tensor,
                      decoders: dict[str, SymbolDecoder]) -> Tensor:
        """``y_hat`` of the layers that are there.

        Args:
            params: From ``h_s``, shape (1, P, h, w).
            decoders: A decoder for each named stream.
        """
        shape = (1, self.latent_channels, *params.shape[-2:])
        find_rows, tables = self.row_finder(shape), self.layer_tables()
        coarse = _Gathered(shape, params.device)

        def decode_step(select: Select, scales_hat: Tensor,
                        means_hat: Tensor) -> Tensor:
            rows = find_rows(select, scales_hat)
            bins = decoders[BASE].decode(rows.flatten()).view(means_hat.shape)
            coarse.put(select, bins)
            return tables.points(0, bins, rows) + means_hat

        latent = LayeredLatent(*self.run_context_model(params, decode_step),
                               self.autoregressive)
        coarse = coarse.joined()
        rows, layer, bins = find_rows(select_all, latent.scales), 0, coarse
        for layer, name in enumerate(self._names[1:], 1):
            if name not in decoders:
                layer -= 1
                break
            if self.autoregressive:
                bins = self._decode_anew(params, layer, decoders[name], bins,
                                         coarse, rows, latent)
            else:
                bins = tables.read(layer, decoders[name], bins.flatten(),
                                   rows.flatten()).view(shape)
        return latent.y_hat(tables, layer, bins, coarse, rows)

    def _decode_anew(self, params: Tensor, layer: int, decoder: SymbolDecoder,
                     bins: Tensor, coarse: Tensor, rows: Tensor,
                     latent: LayeredLatent) -> Tensor:
        """Bins of a layer, from those of the one before it and of the base.

        Its Gaussians follow from the elements of this layer before them.
        """
        tables, shifted = self.layer_tables(), self.shifted_tables()
        found = _Gathered(bins.shape, bins.device)

        def decode_step(select: Select, scales_hat: Tensor,
                        means_hat: Tensor) -> Tensor:
            own_rows, parents = select(rows), select(bins)
            indexes = shifted.indexes(
                layer,
                _offsets(tables, layer, parents, own_rows,
                         select(latent.means), means_hat),
                self._rows_anew(own_rows, scales_hat))
            rest = decoder.decode(indexes.flatten()).view(parents.shape)
            here = tables.join(layer, parents, rest, own_rows)
            found.put(select, here)
            return latent.of(select).y_hat(tables, layer, here, select(coarse),
                                           own_rows)

        self.run_context_model(params, decode_step)
        return found.joined()

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


class _Gathered:
    """Values of all steps, put together to a latent of one image.

    Args:
        shape: Of the latent.
        device: Where it is.
    """

    def __init__(self, shape: Sequence[int], device: torch.device) -> None:
        self._places = _places(shape, device)
        self._parts: list[tuple[Tensor, Tensor]] = []

    def put(self, select: Select, values: Tensor) -> None:
        """Keep the values of a step."""
        self._parts.append((values.flatten(), select(self._places).flatten()))

    def joined(self) -> Tensor:
        """The latent, of the type of the values."""
        values, places = (torch.cat(parts) for parts in zip(*self._parts))
        joined = torch.empty_like(values)
        joined[places] = values
        return joined.view(self._places.shape)


def _places(shape: Sequence[int], device: torch.device) -> Tensor:
    """Number of each element of a latent."""
    return torch.arange(math.prod(shape), device=device).view(*shape)


def _offsets(tables: LayerTables, layer: int, bins: Tensor, rows: Tensor,
             centres: Tensor, means_hat: Tensor) -> Tensor:
    """Centres of the bins before a layer, less the means that it knows."""
    return (centres - means_hat) + bins * tables.widths(layer - 1, rows)
