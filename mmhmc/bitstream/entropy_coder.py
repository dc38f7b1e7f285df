"""The seam to the entropy coder: integers and tables in, bytes out.

Everything above works with :class:`CdfTables`, :func:`encode_symbols` and
:class:`SymbolDecoder`; which coder stands behind them is this file's secret.
It is CompressAI's rANS coder, which checks nothing it reads: what can be
refused before it is called is refused here, and the container's checksum
stands before it.
"""
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from mmhmc.structures import LatentSymbols
from .errors import BitstreamError

# The coder's loop over an escaped symbol does not end beyond 2^27.
_MAX_SYMBOL = 1 << 26


@dataclass(frozen=True)
class CdfTables:
    """Cumulative frequencies that turn symbols into bits.

    Args:
        cdf: Cumulative 16-bit frequencies, int32, shape (K, L), padded.
        lengths: Entries that count in each row, int32, shape (K,).
        offsets: Smallest symbol of each row, int32, shape (K,).
    """

    cdf: Tensor
    lengths: Tensor
    offsets: Tensor

    @cached_property
    def as_lists(self) -> tuple[list, list, list]:
        """The form that the coder takes; made once, for it is slow."""
        return (self.cdf.tolist(), self.lengths.tolist(),
                self.offsets.tolist())

    def check(self, indexes: Tensor) -> None:
        """Refuse what would make the coder read outside the tables.

        Raises:
            RuntimeError: If the tables have not been built.
            ValueError: If an index names no table.
        """
        if not self.cdf.numel():
            raise RuntimeError(
                'There are no entropy tables yet; call '
                '`update_entropy_tables()` after training or loading.')
        if indexes.numel() and not (0 <= indexes.min()
                                    and indexes.max() < len(self.cdf)):
            raise ValueError(
                f'Table indexes must lie in [0, {len(self.cdf)}), got '
                f'{indexes.min().item()} to {indexes.max().item()}.')


def encode_symbols(coded: LatentSymbols, tables: CdfTables) -> bytes:
    """Entropy-code integers.

    Args:
        coded: Symbols and the table of each.
        tables: The tables.

    Returns:
        The payload; empty if there are no symbols.

    Raises:
        RuntimeError: If the tables have not been built.
        ValueError: If an index names no table or is missing, or a symbol is
            absurdly large.
    """
    from compressai import ans
    tables.check(coded.indexes)
    if len(coded.symbols) != len(coded.indexes):
        raise ValueError(f'There are {len(coded.symbols)} symbols with '
                         f'{len(coded.indexes)} indexes; each needs one.')
    symbols, indexes = coded.symbols.tolist(), coded.indexes.tolist()
    if not symbols:
        return b''
    if max(map(abs, symbols)) > _MAX_SYMBOL:
        raise ValueError(
            f'Symbols must lie within +-{_MAX_SYMBOL}, got '
            f'{min(symbols)} to {max(symbols)}: the latent is not sensible.')
    if len(symbols) < 3:
        # The coder's buffer is one word a symbol; it may need three in all.
        symbols, indexes = symbols * 3, indexes * 3
    return ans.RansEncoder().encode_with_indexes(symbols, indexes,
                                                 *tables.as_lists)


class SymbolDecoder:
    """Decodes a payload piece by piece.

    Args:
        payload: From :func:`encode_symbols`.
        tables: The tables it was coded with.
    """

    def __init__(self, payload: bytes, tables: CdfTables) -> None:
        from compressai import ans
        self._payload, self._tables = payload, tables
        self._decoder = ans.RansDecoder()
        if payload:
            if len(payload) < 8 or len(payload) % 4:
                raise BitstreamError(
                    'A payload is a multiple of 4 bytes and at least 8, got '
                    f'{len(payload)}.')
            self._decoder.set_stream(payload)

    def decode(self, indexes: Tensor) -> Tensor:
        """Decode the next symbols.

        Args:
            indexes: Table of each symbol, int32, shape (n,).

        Returns:
            Symbols, int32, shape (n,), on the device of ``indexes``.

        Raises:
            BitstreamError: If symbols are asked of an empty payload.
            RuntimeError: If the tables have not been built.
        """
        if not indexes.numel():
            return indexes.new_empty(0)
        self._tables.check(indexes)
        if not self._payload:
            raise BitstreamError(
                f'{indexes.numel()} symbols were expected, but the stream is '
                'empty.')
        symbols = self._decoder.decode_stream(indexes.tolist(),
                                              *self._tables.as_lists)
        return torch.tensor(symbols, dtype=torch.int32, device=indexes.device)
