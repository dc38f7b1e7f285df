"""What portable streams cost: bytes, and time of decoding.

    python dev/benchmarks/portable_cost.py FOLDER... --zoo [NAME...]
    python dev/benchmarks/portable_cost.py FOLDER... --random CODEC...

Every image is coded twice by one codec, in integers and in floating point, in
one process. Times are those of decoding the first image by one thread, in
turns, the best of some runs in processor time: "read" is all from bytes to
``y_hat``, "decode" the whole.
"""
import argparse
import time
from collections.abc import Callable
from functools import partial

from mmhmc.machine import tune_cpu

tune_cpu()  # before torch is loaded

import torch  # noqa: E402
from backend_matrix import (random_codec, read_middles,  # noqa: E402
                            trained_codec)
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402
from torch import Tensor  # noqa: E402

from mmhmc.apis import list_models  # noqa: E402
from mmhmc.codecs import ImageCodec  # noqa: E402

PATHS = ('integers', 'float')


def best_times(actions: dict[str, Callable[[], object]],
               runs: int) -> dict[str, float]:
    """Shortest time of each in milliseconds, taken in turns."""
    times = dict.fromkeys(actions, float('inf'))
    for _ in range(runs):
        for name, action in actions.items():
            start = time.process_time()
            action()
            spent = 1e3 * (time.process_time() - start)
            times[name] = min(times[name], spent)
    return times


@torch.no_grad()
def costs(codec: ImageCodec, images: list[Tensor], runs: int) -> list[str]:
    """Cells of a table row."""
    num_bytes, actions = {}, {}
    for path in PATHS:
        codec.portable = path == 'integers'
        streams = [codec.compress(x)[0] for x in images]
        # A file in floating point also names its device.
        num_bytes[path] = sum(
            len(payload) for stream in streams
            for payload in stream.streams.values())
        actions[f'read {path}'] = partial(codec.read, streams[0])
        actions[f'decode {path}'] = partial(codec.decompress, streams[:1])
    times = best_times(actions, runs)
    more = 100 * (num_bytes['integers'] / num_bytes['float'] - 1)
    cells = [f'{num_bytes["float"]}', f'{more:+.3f} %']
    for stage in ('read', 'decode'):
        ours, theirs = (times[f'{stage} {path}'] for path in PATHS)
        cells += [f'{theirs:.1f}', f'{ours:.1f}', f'{ours / theirs:.2f}']
    return cells


def main() -> None:
    """Print a row for each codec."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folders', nargs='+', help='with images')
    parser.add_argument(
        '--zoo', nargs='*', metavar='NAME', help='models; none: all')
    parser.add_argument('--random', nargs='+', default=[], metavar='CODEC')
    parser.add_argument('--images', type=int, default=4)
    parser.add_argument('--side', type=int, default=512)
    parser.add_argument('--runs', type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    images = read_middles(args.folders, args.images, args.side)
    names = list(list_models()) if args.zoo == [] else args.zoo or []
    table = Table('codec', 'bytes float', 'integers', 'read float',
                  'read integers', 'times', 'decode float', 'decode integers',
                  'times')
    for name in [*names, *args.random]:
        if name in args.random:
            codec = random_codec(name, images[0][..., :256, :256])
        else:
            codec = trained_codec(name)
        if codec is not None:
            table.add_row(name, *costs(codec, images, args.runs))
    console = Console(width=130)
    console.print(table)


if __name__ == '__main__':
    main()
