"""A large image through a codec, and the memory that it takes.

    python dev/benchmarks/big_image.py [--size HEIGHT WIDTH] [--whole]
        [--limit MIB]

Codes and decodes an image of noise and gradients, 2160 x 3840 if no size is
given, with a mean-scale hyperprior of random weights, in a process whose
address space may be limited. Prints seconds and the peak of the process's
memory; `--whole` does it without tiles.
"""
import argparse
import resource
import time
import warnings

from mmhmc.apis.command import run_tool
from mmhmc.machine import tune_cpu

tune_cpu()  # before torch is loaded

import torch  # noqa: E402

from mmhmc.codecs import build_codec  # noqa: E402


def peak() -> float:
    """Largest memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def main() -> None:
    """Code, decode, print."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--size', type=int, nargs=2, default=(2160, 3840))
    parser.add_argument('--channels', type=int, nargs=2, default=(128, 192))
    parser.add_argument('--whole', action='store_true', help='no tiles')
    parser.add_argument('--bf16', action='store_true', help='in bfloat16')
    parser.add_argument('--limit', type=int, help='MiB of address space')
    args = parser.parse_args()
    warnings.simplefilter('ignore')
    torch.set_num_threads(1)
    torch.manual_seed(0)
    codec = build_codec(
        dict(
            type='mmhmc.MeanScaleHyperprior',
            hidden_channels=args.channels[0],
            latent_channels=args.channels[1])).eval()
    codec.update_entropy_tables()
    if args.whole:
        codec.tile_size = None
    if args.bf16:
        codec.transform_dtype = torch.bfloat16
    before = peak()
    if args.limit:
        limit = args.limit * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    x = torch.rand(1, 3, 1, args.size[1]) * torch.linspace(
        0, 1, args.size[0]).view(1, 1, -1, 1)
    start = time.perf_counter()
    stream, = codec.compress(x)
    coded = time.perf_counter()
    x_hat = codec.decompress([stream])
    done = time.perf_counter()
    height, width = x_hat.shape[-2:]
    print(f'{height} x {width} ({height * width / 1e6:.1f} megapixels), '
          f'{"whole" if args.whole else "tiles"}: '
          f'encoded in {coded - start:.1f} s to {stream.num_bytes} bytes, '
          f'decoded in {done - coded:.1f} s, peak {peak():.0f} MiB '
          f'({before:.0f} MiB before)')


if __name__ == '__main__':
    run_tool(main)
