"""Whole codecs against CompressAI's networks with the same weights.

    python dev/benchmarks/codec_speed.py [--codecs NAME...] [--runs N]

Both sides code the same image, 768 x 512, in one process and one thread,
in turns; the best time of each counts. Weights are random, with latents and
scales spread so that a symbol costs a bit or two. A stage "without" networks
has them replaced by what they return, so only the rest is timed. Both compute
in floating point; `portable_cost.py` has what integers cost.
"""
import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from fractions import Fraction
from functools import partial

from mmhmc.apis.command import run_tool
from mmhmc.machine import tune_cpu

tune_cpu()  # before torch is loaded

import torch  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from mmhmc.codecs import ImageCodec, build_codec  # noqa: E402

CODECS = {
    'MeanScaleHyperprior': dict(hidden_channels=128, latent_channels=192),
    'JointAutoregressive': dict(hidden_channels=192, latent_channels=192),
    'Cheng2020Anchor': dict(hidden_channels=192),
    'Cheng2020Attention': dict(hidden_channels=192),
}


def image(height: int = 512, width: int = 768) -> Tensor:
    """Structure at all sizes, RGB in [0, 1], (1, 3, height, width)."""
    x = torch.rand(1, 3, height, width)
    for side in (3, 12, 50):
        x = x + nn.functional.interpolate(
            3 * torch.rand(1, 3, side, side), (height, width), mode='bilinear')
    return x / 10


@torch.no_grad()
def spread_latents(codec: ImageCodec, x: Tensor) -> None:
    """Give y an amplitude of 1 and the scales a spread around it."""
    last = [m for m in codec.g_a if isinstance(m, nn.Conv2d)]
    last = last[-1] if last else codec.g_a[-1]
    for _ in range(3):
        gain = 1 / codec.g_a(x).square().mean().sqrt()
        last.weight.mul_(gain)
        last.bias.mul_(gain)
    layers = getattr(codec, 'entropy_parameters', codec.h_s)
    last = [layer for layer in layers if hasattr(layer, 'weight')][-1]
    m = codec.latent_channels
    last.bias.data[:m] = torch.logspace(-1, 0.6, m)


def best_times(actions: dict[str, Callable[[], None]],
               runs: int) -> dict[str, float]:
    """Shortest time of each in seconds, taken in turns."""
    times = {name: float('inf') for name in actions}
    for _ in range(runs):
        for name, action in actions.items():
            start = time.perf_counter()
            action()
            times[name] = min(times[name], time.perf_counter() - start)
    return times


def theirs_and_ours(name: str, options: dict) -> tuple:
    """CompressAI's network and ours with equal weights, and an image."""
    codec = build_codec(dict(type=f'mmhmc.{name}', portable=False,
                             **options)).eval()
    x = image()
    codec.update_entropy_tables()
    spread_latents(codec, x)
    network = codec.build_network(options['hidden_channels'],
                                  codec.latent_channels).eval()
    network.load_state_dict(codec.state_dict())
    network.update(force=True)
    return network, codec, x


@contextmanager
def constants(model: nn.Module, **values: Tensor) -> Iterator[None]:
    """Networks of a codec that return at once what they would."""
    for name, value in values.items():
        getattr(model, name).forward = lambda x, value=value: value
    yield
    for name in values:
        del getattr(model, name).forward


def make_stages(network: nn.Module, codec: ImageCodec,
                x: Tensor) -> dict[str, dict[str, Callable]]:
    """Actions by stage and side."""
    coded = network.compress(x)
    strings, shape = coded['strings'], coded['shape']
    stream, = codec.compress(x)
    y = codec.g_a(x)
    values = dict(g_a=y, g_s=x)
    if not hasattr(codec, 'context_prediction'):
        z = codec.h_a(y)
        values.update(h_a=z, h_s=codec.h_s(codec.entropy_bottleneck(z)[0]))

    def stubbed(model: nn.Module, action: Callable, **stubs: Tensor) -> None:
        with constants(model, **stubs):
            action()

    # The type is the codec's, so float32 needs one of its own.
    hasty = deepcopy(codec)
    hasty.transform_dtype = torch.bfloat16
    quick = dict(
        encode=partial(hasty.compress, x),
        decode=partial(hasty.decompress, [stream]))
    actions = {
        'encode': (partial(network.compress, x), partial(codec.compress, x)),
        'decode': (partial(network.decompress, strings,
                           shape), partial(codec.decompress, [stream])),
    }
    stages = {
        f'{name} without g_a, g_s':
        dict(
            theirs=partial(stubbed, network, theirs, g_a=y, g_s=x),
            ours=partial(stubbed, codec, ours, g_a=y, g_s=x))
        for name, (theirs, ours) in actions.items()
    }
    if 'h_s' in values:
        stages |= {
            f'{name}, entropy coding alone':
            dict(
                theirs=partial(stubbed, network, theirs, **values),
                ours=partial(stubbed, codec, ours, **values))
            for name, (theirs, ours) in actions.items()
        }
    stages |= {
        name: {
            'theirs': theirs,
            'ours': ours,
            'ours, bf16': quick[name]
        }
        for name, (theirs, ours) in actions.items()
    }
    stages |= {
        name: {
            'float32':
            partial(codec.run_transform, getattr(codec, name), value, scale),
            'bf16, channels last':
            partial(hasty.run_transform, getattr(hasty, name), value, scale)
        }
        for name, value, scale in (('g_a', x, Fraction(1, 16)), ('g_s', y,
                                                                 Fraction(16)))
    }
    return stages


def main() -> None:
    """Print one table for each codec."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--codecs', nargs='+', choices=CODECS, default=list(CODECS))
    parser.add_argument('--runs', type=int, default=3)
    args = parser.parse_args()
    warnings.simplefilter('ignore')
    torch.set_num_threads(1)
    console = Console(width=100)
    for name in args.codecs:
        torch.manual_seed(0)
        network, codec, x = theirs_and_ours(name, CODECS[name])
        with torch.no_grad():
            stages = make_stages(network, codec, x)
            table = Table(
                'stage',
                'side',
                'ms',
                'times as fast',
                title=f'{name} '
                f'{CODECS[name]}, {x.shape[-1]} x {x.shape[-2]}, cpu, 1 '
                f'thread, best of {args.runs}')
            for stage, actions in stages.items():
                times = best_times(actions, args.runs)
                slow = next(iter(times.values()))
                for side, seconds in times.items():
                    table.add_row(stage, side, f'{1e3 * seconds:.1f}',
                                  f'{slow / seconds:.1f}')
            console.print(table)


if __name__ == '__main__':
    run_tool(main)
