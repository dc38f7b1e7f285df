"""Every image size from 1 x 1 up, through real files and back.

    python dev/benchmarks/all_sizes.py [--codec NAME] [--most N]

A small codec with random weights codes an image of every height and width
up to N, then thin and long ones; each has to come back with its own size, and
with the latents of the encoder. Prints the count and what failed.
"""
import argparse
import itertools
import sys
import warnings

from mmhmc.apis.command import run_tool
from mmhmc.machine import tune_cpu

tune_cpu()  # before torch is loaded

import torch  # noqa: E402
from rich.progress import track  # noqa: E402

from mmhmc.bitstream import Bitstream  # noqa: E402
from mmhmc.codecs import build_codec  # noqa: E402
from mmhmc.functional import extend_edges, padded_size  # noqa: E402

THIN = [(1, 4096), (4096, 1), (2, 3001), (3001, 2), (7, 2048), (2048, 13)]


def main() -> None:
    """Try all sizes."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--codec', default='MeanScaleHyperprior')
    parser.add_argument('--most', type=int, default=130)
    args = parser.parse_args()
    warnings.simplefilter('ignore')
    torch.set_num_threads(1)
    torch.manual_seed(0)
    codec = build_codec(dict(type=f'mmhmc.{args.codec}',
                             hidden_channels=8)).eval()
    codec.update_entropy_tables()
    image = torch.rand(1, 3, 4096, 4096)
    sizes = list(itertools.product(range(1, args.most + 1), repeat=2)) + THIN
    failed = []
    for size in track(sizes):
        x = image[..., :size[0], :size[1]]
        stream, = codec.compress(x)
        stream = Bitstream.from_bytes(stream.to_bytes())
        target = padded_size(size, codec.downsampling_factor)
        with torch.no_grad():
            y_hat = codec.encode_latents(
                extend_edges(x, [size], target), with_likelihoods=False).y_hat
        if (codec.decompress([stream]).shape != x.shape
                or not torch.equal(codec.read(stream), y_hat)):
            failed.append(size)
    print(f'{args.codec}: {len(sizes)} sizes, {len(failed)} failed '
          f'{failed[:10]}')
    sys.exit(bool(failed))


if __name__ == '__main__':
    run_tool(main)
