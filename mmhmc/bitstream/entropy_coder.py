"""Interface of the entropy coder: integers and tables in, bytes out.

Codecs use :class:`CdfTables`, :func:`encode_symbols` and
:class:`SymbolDecoder`; only this file knows that they are implemented by the
rANS coder of ``rans.cpp`` or, where that has not been compiled, of
``rans_reference.py``. Both write the same bytes, and check all that they read.
"""
import hashlib
import warnings
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from mmhmc.structures import LatentSymbols
from . import rans_reference
from .errors import BitstreamError

#: Reason why the compiled coder is missing; None if it is there.
_lacks: str | None = None
try:
    from . import _rans as _coder
except ImportError as _error:
    _coder, _lacks = rans_reference, str(_error)


@dataclass(frozen=True, eq=False)
class CdfTables:
    """Cumulative frequencies that turn symbols into bits.

    A row begins with 0, rises strictly and ends with 65536 at its
    ``lengths``-th entry. Its first step is the symbol ``offset``, the last is
    the escape, after which a symbol outside the table follows. The tensors
    must not change once they have been used: results from them are cached.

    Args:
        cdf: Cumulative 16-bit frequencies, int32, shape (K, L), padded.
        lengths: Entries that count in each row, int32, shape (K,).
        offsets: Smallest symbol of each row, int32, shape (K,).
    """

    cdf: Tensor
    lengths: Tensor
    offsets: Tensor

    def __getstate__(self) -> dict[str, Tensor]:
        # Copies and pickles leave out cached results.
        return {name: getattr(self, name) for name in self.__match_args__}

    @cached_property
    def registered(self) -> Any:
        """Tables in the coder's form; made once, for that is slow.

        Raises:
            RuntimeError: If the tables have not been built.
            TypeError: If they are not int32.
            ValueError: If a table is not valid.
        """
        if not self.cdf.numel():
            raise RuntimeError(
                'There are no entropy tables yet; call '
                '`update_entropy_tables()` after training or loading.')
        if _lacks is not None:
            _warn_of_slowness(_lacks)
        return _coder.Tables(*self._arrays)

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of the entries that count, the lengths and the offsets.

        The same on every device and with any padding.
        """
        cdf, lengths, offsets = self._arrays
        counts = np.arange(cdf.shape[-1]) < lengths[:, None]
        parts = (cdf[counts] if cdf.size else cdf, lengths, offsets)
        return hashlib.sha256(b''.join(
            part.astype('<i4').tobytes() for part in parts)).digest()

    @cached_property
    def least_bits(self) -> np.ndarray:
        """Bits of the cheapest symbol of each table, float64, shape (K,)."""
        self.registered  # has checked them
        cdf, lengths, _ = self._arrays
        steps = np.diff(cdf.astype(np.float64))
        steps[np.arange(steps.shape[1]) >= lengths[:, None] - 1] = 1
        # A coder's state is not continuous: see `Decoder.bits_left`.
        return np.maximum(16 - np.log2(steps.max(axis=1)) - 2**-13, 0)

    def as_rows(self) -> list[tuple[np.ndarray, int]]:
        """The entries that count and the smallest symbol of each table."""
        cdf, lengths, offsets = self._arrays
        return [(row[:length], int(offset))
                for row, length, offset in zip(cdf, lengths, offsets)]

    @property
    def _arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        tensors = (self.cdf, self.lengths, self.offsets)
        if {tensor.dtype for tensor in tensors} != {torch.int32}:
            raise TypeError('Tables must be int32, got '
                            f'{[tensor.dtype for tensor in tensors]}.')
        return tuple(tensor.detach().cpu().contiguous().numpy()
                     for tensor in tensors)


@cache
def _warn_of_slowness(reason: str) -> None:
    warnings.warn(
        'The compiled entropy coder is missing, and its Python reference, '
        f'some hundred times slower, codes instead: {reason}. Install mmhmc '
        'again where there is a C++ compiler; `mmhmc doctor` says more.',
        stacklevel=3)


def encode_symbols(coded: LatentSymbols, tables: CdfTables) -> bytes:
    """Entropy-code integers.

    Args:
        coded: Symbols and the table of each, on any device.
        tables: The tables.

    Returns:
        The payload; empty if there are no symbols.

    Raises:
        RuntimeError: If the tables have not been built.
        TypeError: If symbols or indexes are not int32 or int64.
        ValueError: If an index names no table or is missing, or a value does
            not fit 32 bits.
    """
    return _coder.encode(tables.registered, _as_array(coded.symbols,
                                                      'symbols'),
                         _as_array(coded.indexes, 'indexes'))


class SymbolDecoder:
    """Decodes a payload piece by piece.

    A call that fails changes nothing. One thread at a time may use it.

    Args:
        payload: From :func:`encode_symbols`.
        tables: The tables it was coded with.

    Raises:
        BitstreamError: If the payload does not begin as one.
        RuntimeError: If the tables have not been built.
    """

    def __init__(self, payload: bytes, tables: CdfTables) -> None:
        self._tables = tables
        try:
            self._decoder = _coder.Decoder(payload, tables.registered)
        except _coder.StreamError as error:
            raise BitstreamError(str(error)) from None

    def decode(self, indexes: Tensor) -> Tensor:
        """Decode the next symbols.

        Args:
            indexes: Table of each symbol, int32, shape (n,).

        Returns:
            Symbols, int32, shape (n,), on the device of ``indexes``.

        Raises:
            BitstreamError: If the payload ends early or makes no sense.
            RuntimeError: If another thread is using the decoder.
            TypeError: If the indexes are not int32 or int64.
            ValueError: If an index names no table.
        """
        try:
            symbols = self._decoder.decode(_as_array(indexes, 'indexes'))
        except _coder.StreamError as error:
            raise BitstreamError(str(error)) from None
        symbols = torch.from_numpy(symbols)
        return symbols if indexes.is_cpu else symbols.to(indexes.device)

    def require(self, counts: Tensor) -> None:
        """Refuse sizes that the payload cannot have.

        Called before the symbols are decoded, it keeps an absurd size from
        having memory allocated for it.

        Args:
            counts: How many symbols of each table are still to come, int64,
                shape (K,).

        Raises:
            BitstreamError: If they need more bits than the payload has, were
                each the cheapest of its table.
            ValueError: If there is not one count, not negative, for each
                table.
        """
        least = self._tables.least_bits
        if counts.shape != least.shape or (counts < 0).any():
            raise ValueError(
                f'`counts` must be {len(least)} numbers, none negative, got '
                f'shape {tuple(counts.shape)}, {counts.tolist()[:8]}.')
        needed = float(counts.cpu().numpy() @ least)
        left = self._decoder.bits_left()
        if needed > left + 1:
            raise BitstreamError(
                f'{int(counts.sum())} symbols are said to come, which take '
                f'{needed:.0f} bits or more, but only {left} are left.')

    def finish(self) -> None:
        """Check that the last symbol has been decoded.

        Raises:
            BitstreamError: If bytes are left, or the coder is not where
                coding began: then the payload was damaged, or decoded with
                other tables or sizes.
        """
        try:
            self._decoder.finish()
        except _coder.StreamError as error:
            raise BitstreamError(str(error)) from None


def find_levels(values: Tensor, borders: Tensor) -> Tensor:
    """How many borders lie below each value.

    The same as ``torch.bucketize(values, borders, out_int32=True)``, and
    faster on a CPU.

    Args:
        values: float32 or float64, any shape, not NaN.
        borders: Ascending, of the same type, shape (n,).

    Returns:
        Levels in [0, n], int32, of the shape and on the device of ``values``.

    Raises:
        TypeError: If the types differ, or are others.
        ValueError: If a value is NaN, or the borders are not ascending.
    """
    if values.dtype != borders.dtype or values.dtype not in (torch.float32,
                                                             torch.float64):
        raise TypeError('`values` and `borders` must both be float32 or both '
                        f'float64, got {values.dtype} and {borders.dtype}.')
    if values.is_cpu and _coder is not rans_reference:
        flat = values.detach().contiguous().view(-1).numpy()
        levels = _coder.find_levels(
            flat,
            borders.detach().contiguous().cpu().numpy())
        return torch.from_numpy(levels).view(values.shape)
    if values.isnan().any():
        raise ValueError('`values` must not be NaN.')
    _check_borders(borders)
    return torch.bucketize(values.contiguous(), borders, out_int32=True)


#: Version of each tensor of borders when it was looked at.
_CHECKED = WeakTensorKeyDictionary()


def _check_borders(borders: Tensor) -> None:
    """Refuse what is not ascending; look once, until it changes."""
    # Inference tensors do not count their changes.
    version = None if borders.is_inference() else borders._version
    if version is None or _CHECKED.get(borders) != version:
        if not (borders[:-1] <= borders[1:]).all():
            raise ValueError('`borders` must be sorted, and not NaN.')
        _CHECKED[borders] = version


def _as_array(integers: Tensor, name: str) -> np.ndarray:
    """One tensor of int32 or int64 as a flat array of int32."""
    if integers.dtype == torch.int64:
        if integers.numel() and not (-1 << 31 <= integers.min()
                                     and integers.max() < 1 << 31):
            raise ValueError(
                f'`{name}` must fit 32 bits, got {integers.min().item()} to '
                f'{integers.max().item()}.')
        integers = integers.int()
    if integers.dtype != torch.int32:
        raise TypeError(f'`{name}` must be int32 or int64, got '
                        f'{integers.dtype}.')
    if integers.ndim != 1:
        raise ValueError(f'`{name}` must have shape (n,), got '
                         f'{tuple(integers.shape)}.')
    return integers.cpu().contiguous().numpy()
