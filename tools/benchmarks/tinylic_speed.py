"""TinyLIC's bitstreams against its networks.

    python tools/benchmarks/tinylic_speed.py [--size HEIGHT WIDTH]
        [--quality Q] [--runs N] [--threads N]

Encoding and decoding an image, 768 x 512, take turns with the forward pass
of the same codec in one process; the best time of each counts. Weights are
random, with latents and scales spread so that a symbol costs a bit or two.
"""
import argparse
import time
import warnings
from functools import partial

from mmhmc.apis.command import run_tool
from mmhmc.machine import tune_cpu

tune_cpu()  # before torch is loaded

import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from mmhmc.codecs import TinyLIC  # noqa: E402
from mmhmc.structures import CodingCondition  # noqa: E402


def image(height: int, width: int) -> Tensor:
    """Structure at all sizes, RGB in [0, 1], (1, 3, height, width)."""
    x = torch.rand(1, 3, height, width)
    for side in (3, 12, 50):
        x = x + nn.functional.interpolate(
            3 * torch.rand(1, 3, side, side), (height, width), mode='bilinear')
    return x / 10


def spread_latents(codec: TinyLIC, x: Tensor) -> None:
    """Give y an amplitude of 1 and the scales a spread around it."""
    last = codec.g_a[-2]
    for _ in range(3):
        gain = 1 / codec.g_a(x).square().mean().sqrt()
        last.weight.mul_(gain)
        last.bias.mul_(gain)
    for network, size in zip(codec.entropy_parameters.values(), codec.slices):
        network[-1].bias[:size] = torch.logspace(-1, 0.6, size)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--size', type=int, nargs=2, default=(512, 768))
    parser.add_argument('--quality', type=float, help='with several rates')
    parser.add_argument('--runs', type=int, default=3)
    parser.add_argument('--threads', type=int, default=1)
    return parser.parse_args()


@torch.no_grad()
def main() -> None:
    """Print seconds, and the ratio of bitstreams to the forward pass."""
    args = parse_args()
    warnings.simplefilter('ignore')
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    codec = TinyLIC(variable_rate=args.quality is not None).eval()
    condition = None
    if args.quality is not None:
        condition = CodingCondition(quality=args.quality)
    x = image(*args.size)
    spread_latents(codec, x[..., :256, :256])
    codec.update_entropy_tables()
    stream, = codec.compress(x, condition)
    actions = dict(
        forward=partial(codec, x, condition),
        encode=partial(codec.compress, x, condition),
        decode=partial(codec.decompress, [stream], condition))
    best = {}
    for _ in range(args.runs):
        for name, action in actions.items():
            start = time.perf_counter()
            action()
            seconds = time.perf_counter() - start
            best[name] = min(seconds, best.get(name, seconds))
    bpp = 8 * stream.num_bytes / x[0, 0].numel()
    print(f'{args.size[1]} x {args.size[0]}, {bpp:.2f} bits per pixel, '
          f'{args.threads} threads, best of {args.runs}')
    for name, seconds in best.items():
        print(f'{name}: {seconds:6.2f} s')
    ratio = (best['encode'] + best['decode']) / best['forward']
    print(f'encode + decode take {ratio:.2f} times the forward pass')


if __name__ == '__main__':
    run_tool(main)
