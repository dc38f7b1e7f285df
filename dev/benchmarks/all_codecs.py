"""Processor time of encoding and decoding, codec beside codec.

    python dev/benchmarks/all_codecs.py [--codecs NAME...] [--runs N]

Every codec codes the same image, 768 x 512, in one process and one thread:
from the image to a file and back, in integers, so that files are portable.
"CompressAI" is the library's own network, in floating point. Weights are
random, with latents spread as in `codec_speed.py`; they do not decide the
time of networks. The best of some runs counts. "entropy" is the part of
decoding up to the latent.
"""
import argparse
import time
import warnings
from collections.abc import Callable
from functools import partial

from mmhmc.machine import tune_cpu

tune_cpu()  # before torch is loaded

import torch  # noqa: E402
from codec_speed import image, theirs_and_ours  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.progress import track  # noqa: E402
from rich.table import Table  # noqa: E402

from mmhmc.apis.command import run_tool  # noqa: E402
from mmhmc.codecs import ImageCodec, build_codec  # noqa: E402
from mmhmc.structures import CodingCondition  # noqa: E402

_MEAN_SCALE = dict(hidden_channels=128, latent_channels=192)
_CHENG = dict(hidden_channels=192)
#: Codec, its arguments, and a quality if it has several.
CODECS = {
    'MeanScaleHyperprior, small':
    ('MeanScaleHyperprior', dict(hidden_channels=64,
                                 latent_channels=96), None),
    'Cheng2020Attention, small':
    ('Cheng2020Attention', dict(hidden_channels=32), None),
    'DCVCUFIntra, small':
    ('DCVCUFIntra',
     dict(hidden_channels=128, latent_channels=96, hyper_channels=64), 32.),
    'MeanScaleHyperprior': ('MeanScaleHyperprior', _MEAN_SCALE, None),
    'Cheng2020Attention': ('Cheng2020Attention', _CHENG, None),
    'ELIC': ('ELIC', {}, None),
    'TinyLIC': ('TinyLIC', {}, None),
    'DCVCUFIntra': ('DCVCUFIntra', {}, 32.),
}
THEIRS = {
    'MeanScaleHyperprior, CompressAI': ('MeanScaleHyperprior', _MEAN_SCALE),
    'Cheng2020Attention, CompressAI': ('Cheng2020Attention', _CHENG),
}


def seconds(action: Callable[[], object], runs: int) -> float:
    """Shortest processor time."""
    times = []
    for _ in range(runs):
        start = time.process_time()
        action()
        times.append(time.process_time() - start)
    return min(times)


def times_of_ours(name: str, runs: int) -> tuple[float, float, float]:
    """Encoding, decoding, and the entropy part of that."""
    kind, options, quality = CODECS[name]
    codec: ImageCodec = build_codec(dict(type=f'mmhmc.{kind}',
                                         **options)).eval()
    codec.update_entropy_tables()
    condition = quality and CodingCondition(quality=quality)
    x = image()
    encode = partial(codec.compress, x, condition)
    stream, = encode()
    return (seconds(encode,
                    runs), seconds(partial(codec.decompress, [stream]), runs),
            seconds(partial(codec.read, stream, condition), runs))


def times_of_theirs(name: str, runs: int) -> tuple[float, float, None]:
    """Encoding and decoding of CompressAI's network."""
    network, _, x = theirs_and_ours(*THEIRS[name])
    coded = network.compress(x)
    decode = partial(network.decompress, coded['strings'], coded['shape'])
    return (seconds(partial(network.compress, x), runs), seconds(decode,
                                                                 runs), None)


def main() -> None:
    """Print a row for each codec."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [*CODECS, *THEIRS]
    parser.add_argument('--codecs', nargs='+', choices=names, default=names)
    parser.add_argument('--runs', type=int, default=3)
    args = parser.parse_args()
    warnings.simplefilter('ignore')
    torch.set_num_threads(1)
    table = Table(
        'codec',
        'encode, s',
        'decode, s',
        'entropy, s',
        title=f'768 x 512, cpu, 1 thread, best of {args.runs}')
    with torch.no_grad():
        for name in track(args.codecs, 'codecs', transient=True):
            torch.manual_seed(0)
            measure = times_of_ours if name in CODECS else times_of_theirs
            table.add_row(
                name,
                *('' if t is None else f'{t:.2f}'
                  for t in measure(name, args.runs)))
    Console(width=100).print(table)


if __name__ == '__main__':
    run_tool(main)
