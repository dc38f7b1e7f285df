"""Neighbourhood attention against the plain way with windows unfolded.

    python dev/benchmarks/neighbourhood_attention.py [--size ROWS COLUMNS]
        [--dim C] [--heads N] [--kernel K] [--runs N] [--threads N]

Both have the same weights and take turns in one process; the best time of
each counts. Memory is what the process's peak grows by in the first run, ours
before the unfolded one. The unfolded one copies all K x K keys and values of
each position, which at the default size takes about 8 GB.
"""
import argparse
import resource
import time

from mmhmc.apis.command import run_tool
from mmhmc.machine import tune_cpu

tune_cpu()  # before torch is loaded

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

from mmhmc.codecs.layers import NeighbourhoodAttention  # noqa: E402


def attend_unfolded(layer: NeighbourhoodAttention, x: Tensor) -> Tensor:
    """The same result for a map (1, H, W, C), with all windows as copies."""
    k, heads = layer.kernel_size, layer.num_heads
    _, height, width, dim = x.shape
    queries, keys, values = layer.qkv(x)[0].unflatten(2,
                                                      (3, heads, -1)).unbind(2)
    rows, columns = (torch.arange(side) for side in (height, width))
    first_row = (rows - k // 2).clamp(0, height - k)
    first_column = (columns - k // 2).clamp(0, width - k)

    def windows(t: Tensor) -> Tensor:
        unfolded = t.unfold(0, k, 1).unfold(1, k, 1)
        return unfolded[first_row][:, first_column]

    scores = torch.einsum('yxhd,yxhdij->yxhij', queries, windows(keys))
    down = first_row[:, None] + torch.arange(k) - rows[:, None] + k - 1
    right = (
        first_column[:, None] + torch.arange(k) - columns[:, None] + k - 1)
    bias = layer.rpb[:, down[:, None, :, None], right[None, :, None, :]]
    scores = scores * (dim // heads)**-0.5 + bias.permute(1, 2, 0, 3, 4)
    weights = scores.flatten(3).softmax(3).view_as(scores)
    out = torch.einsum('yxhij,yxhdij->yxhd', weights, windows(values))
    return layer.proj(out.flatten(2)[None])


def peak() -> float:
    """Largest memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--size', type=int, nargs=2, default=(256, 384))
    parser.add_argument('--dim', type=int, default=128)
    parser.add_argument('--heads', type=int, default=8)
    parser.add_argument('--kernel', type=int, default=7)
    parser.add_argument('--runs', type=int, default=3)
    parser.add_argument('--threads', type=int, default=1)
    return parser.parse_args()


@torch.no_grad()
def main() -> None:
    """Print seconds, memory, and the ratio of the times."""
    args = parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    layer = NeighbourhoodAttention(args.dim, args.heads, args.kernel)
    x = torch.randn(1, *args.size, args.dim)
    layer(x[:, :32, :32])
    attend_unfolded(layer, x[:, :32, :32])
    ways = dict(ours=layer, unfolded=lambda x: attend_unfolded(layer, x))
    best, grown, results = {}, {}, {}
    for run in range(args.runs):
        for name, attend in ways.items():
            before, start = peak(), time.perf_counter()
            result = attend(x)
            seconds = time.perf_counter() - start
            best[name] = min(seconds, best.get(name, seconds))
            grown.setdefault(name, peak() - before)
            results[name] = result
    error = (results['ours'] - results['unfolded']).abs().max()
    print(f'{args.size[0]} x {args.size[1]} positions, {args.dim} channels, '
          f'{args.heads} heads, k = {args.kernel}, {args.threads} threads, '
          f'best of {args.runs}')
    for name in ways:
        print(f'{name:>9}: {best[name]:7.2f} s, {grown[name]:6.0f} MB more')
    print(f'    ratio: {best["unfolded"] / best["ours"]:7.1f}, largest '
          f'difference {error:.1e}')


if __name__ == '__main__':
    run_tool(main)
