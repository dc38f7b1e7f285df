"""The entropy coder against CompressAI's, and against the entropy.

    python dev/benchmarks/entropy_coder.py [--runs N] [--json FILE]

Latents are those of a Kodak image, 192 x 32 x 48, each symbol drawn from a
Gaussian of its own scale; the scales are log-normal around three medians.
Speed: both coders take and give tensors, in one process and one thread, in
turns; the best time of each counts. CompressAI's calls are those of its
``EntropyModel.compress`` and ``decompress``, lists included.
"""
import argparse
import json
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from compressai import ans
from compressai.entropy_models import GaussianConditional
from compressai.models.base import get_scale_table
from rich.console import Console
from rich.table import Table
from scipy.special import log_ndtr
from torch import Tensor

from mmhmc.apis.command import run_tool
from mmhmc.bitstream import (CdfTables, SymbolDecoder, encode_symbols,
                             find_levels)
from mmhmc.structures import LatentSymbols

SHAPE = (192, 32, 48)
MEDIANS = (0.15, 0.5, 2.0)
LOWEST_SCALE = 0.11  # CompressAI's bound


def draw(median: float, shape: tuple[int, ...] = SHAPE) -> tuple:
    """Symbols, int32, and the scale of each, float32."""
    scales = (torch.randn(shape).exp() * median).clamp_min(LOWEST_SCALE)
    return (torch.randn(shape) * scales).round().int(), scales


def gaussian_model(levels: int) -> GaussianConditional:
    """CompressAI's tables for this many scales."""
    model = GaussianConditional(None)
    model.update_scale_table(get_scale_table(levels=levels), force=True)
    return model


def tables_of(model: GaussianConditional) -> CdfTables:
    """The same tables for our coder."""
    return CdfTables(model._quantized_cdf, model._cdf_length, model._offset)


def nearest(model: GaussianConditional, scales: Tensor) -> Tensor:
    """Table of each scale, the nearest by logarithm."""
    table = model.scale_table
    return find_levels(scales, (table[:-1] * table[1:]).sqrt())


def entropy_of_gaussians(symbols: Tensor, scales: Tensor) -> float:
    """Bits of the symbols under the exact scales."""
    size, scale = symbols.abs().double().numpy(), scales.double().numpy()
    upper = log_ndtr((0.5 - size) / scale)
    lower = log_ndtr((-0.5 - size) / scale)
    return -float((upper + np.log1p(-np.exp(lower - upper))).sum() / np.log(2))


def entropy_of_tables(symbols: Tensor, indexes: Tensor,
                      tables: CdfTables) -> float:
    """Bits of the symbols under the tables, without what follows escapes."""
    rows = indexes.flatten().long()
    escape = tables.lengths[rows] - 2
    place = symbols.flatten() - tables.offsets[rows]
    place = torch.where((place < 0) | (place > escape), escape, place).long()
    steps = tables.cdf[rows, place + 1] - tables.cdf[rows, place]
    return float((16 - steps.double().log2()).sum())


def best_times(actions: dict[str, Callable], runs: int) -> dict[str, float]:
    """Shortest time of each in seconds, taken in turns."""
    times = dict.fromkeys(actions, float('inf'))
    for _ in range(runs):
        for name, action in actions.items():
            start = time.perf_counter()
            action()
            times[name] = min(times[name], time.perf_counter() - start)
    return times


def their_encode(symbols: Tensor, indexes: Tensor,
                 model: GaussianConditional) -> bytes:
    """As ``EntropyModel.compress``, for one image."""
    return ans.RansEncoder().encode_with_indexes(
        symbols.reshape(-1).int().tolist(),
        indexes.reshape(-1).int().tolist(), model._quantized_cdf.tolist(),
        model._cdf_length.reshape(-1).int().tolist(),
        model._offset.reshape(-1).int().tolist())


def their_decode(payload: bytes, indexes: Tensor,
                 model: GaussianConditional) -> Tensor:
    """As ``EntropyModel.decompress``, for one image."""
    values = ans.RansDecoder().decode_with_indexes(
        payload,
        indexes.reshape(-1).int().tolist(), model._quantized_cdf.tolist(),
        model._cdf_length.reshape(-1).int().tolist(),
        model._offset.reshape(-1).int().tolist())
    return torch.tensor(values, dtype=torch.int32).reshape(indexes.shape)


def our_decode(payload: bytes, indexes: Tensor, tables: CdfTables) -> Tensor:
    """All symbols at once, and the check at the end."""
    decoder = SymbolDecoder(payload, tables)
    symbols = decoder.decode(indexes.flatten()).view_as(indexes)
    decoder.finish()
    return symbols


def measure_speed(runs: int) -> list[dict]:
    """Both coders over whole latents, with CompressAI's 64 tables."""
    model = gaussian_model(64)
    tables, rows = tables_of(model), []
    for median in MEDIANS:
        symbols, scales = draw(median)
        indexes = model.build_indexes(scales).int()
        coded = LatentSymbols(symbols.flatten(), indexes.flatten())
        theirs = their_encode(symbols, indexes, model)
        ours = encode_symbols(coded, tables)
        assert torch.equal(their_decode(theirs, indexes, model), symbols)
        assert torch.equal(our_decode(ours, indexes, tables), symbols)
        times = best_times(
            dict(
                their_encode=partial(their_encode, symbols, indexes, model),
                encode=partial(encode_symbols, coded, tables),
                their_decode=partial(their_decode, theirs, indexes, model),
                decode=partial(our_decode, ours, indexes, tables)), runs)
        for name in ('encode', 'decode'):
            ratio = times[f'their_{name}'] / times[name]
            rows.append({
                'what':
                name,
                'bits a symbol':
                8 * len(theirs) / symbols.numel(),
                'lanes':
                1 << (ours[0] & 3),
                'CompressAI Msym/s':
                symbols.numel() / times[f'their_{name}'] / 1e6,
                'ours Msym/s':
                symbols.numel() / times[name] / 1e6,
                'times as fast':
                ratio
            })
    return rows


def measure_calls(runs: int, size: int = 192) -> list[dict]:
    """Time of one small call, as serial context models make them."""
    rows = []
    for levels in (64, 256):
        model = gaussian_model(levels)
        tables = tables_of(model)
        symbols, scales = draw(0.5)
        indexes = nearest(model, scales).flatten()
        pieces = indexes.split(size)
        ours = encode_symbols(
            LatentSymbols(symbols.flatten(), indexes), tables)
        theirs = their_encode(symbols, indexes, model)
        lists = (model._quantized_cdf.tolist(), model._cdf_length.tolist(),
                 model._offset.tolist())

        def ours_by_pieces() -> None:
            decoder = SymbolDecoder(ours, tables)
            for piece in pieces:
                decoder.decode(piece)

        def theirs_by_pieces() -> None:
            decoder = ans.RansDecoder()
            decoder.set_stream(theirs)
            for piece in pieces[:20]:
                torch.tensor(decoder.decode_stream(piece.tolist(), *lists))

        times = best_times(
            dict(ours=ours_by_pieces, theirs=theirs_by_pieces), runs)
        rows.append({
            'tables': levels,
            'symbols': size,
            'CompressAI us': 1e6 * times['theirs'] / 20,
            'ours us': 1e6 * times['ours'] / len(pieces)
        })
    return rows


def measure_rate() -> list[dict]:
    """Real bytes against the entropy, by tables and by size."""
    rows = []
    models = {levels: gaussian_model(levels) for levels in (64, 256)}
    cases = [(median, SHAPE) for median in MEDIANS]
    cases += [(0.5, (64, ) * power) for power in (1, 2)]
    for median, shape in cases:
        symbols, scales = draw(median, shape)
        bits = entropy_of_gaussians(symbols, scales)
        for levels, model in models.items():
            tables = tables_of(model)
            choices = {'nearest': nearest(model, scales)}
            if levels == 64:
                choices['rounded up'] = model.build_indexes(scales)
            for choice, indexes in choices.items():
                size = len(
                    encode_symbols(
                        LatentSymbols(symbols.flatten(),
                                      indexes.flatten().int()), tables))
                tabled = entropy_of_tables(symbols, indexes, tables)
                rows.append({
                    'symbols': symbols.numel(),
                    'tables': f'{levels} {choice}',
                    'entropy, bytes': bits / 8,
                    'tables lose %': 100 * (tabled / bits - 1),
                    'bytes': size,
                    'over the tables, bytes': size - tabled / 8,
                    'P2 allows': 1.0005 * bits / 8 + 32
                })
    return rows


def measure_tables(runs: int) -> list[dict]:
    """What is paid once for each set of tables, and for each latent."""
    rows = []
    for levels in (64, 256):
        model = gaussian_model(levels)
        _, scales = draw(0.5)
        borders = (model.scale_table[:-1] * model.scale_table[1:]).sqrt()
        times = best_times(
            dict(
                register=lambda: tables_of(model).registered,
                digest=lambda: tables_of(model).digest,
                bucketize=partial(
                    torch.bucketize, scales, borders, out_int32=True),
                find_levels=partial(find_levels, scales, borders)), runs)
        rows += [{
            'tables': levels,
            'what': name,
            'ms': 1e3 * seconds
        } for name, seconds in times.items()]
    return rows


def show(console: Console, title: str, rows: list[dict]) -> None:
    """One table."""
    table = Table(*rows[0], title=title)
    for row in rows:
        table.add_row(*(f'{cell:.3f}' if isinstance(cell, float) else str(cell)
                        for cell in row.values()))
    console.print(table)


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--runs', type=int, default=9)
    parser.add_argument('--json', type=Path, help='also write them there')
    args = parser.parse_args()
    warnings.simplefilter('ignore')
    torch.set_num_threads(1)
    torch.manual_seed(0)
    results = {
        'P1: speed over 192 x 32 x 48 symbols': measure_speed(args.runs),
        'P2: bytes': measure_rate(),
        'P3: one call': measure_calls(args.runs),
        'Paid once': measure_tables(args.runs)
    }
    console = Console(width=110)
    for title, rows in results.items():
        show(console, f'{title}, best of {args.runs}', rows)
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + '\n')


if __name__ == '__main__':
    run_tool(main)
