"""Does a stream decode to the same latent whatever computes it?

    python tools/benchmarks/backend_matrix.py FOLDER... \\
        --codec configs/hmc/NAME.py --checkpoint FILE
    python tools/benchmarks/backend_matrix.py FOLDER... --random NAME...

Pictures are coded on the CPU, contiguous, in one thread, with oneDNN, eagerly
and in float32. Then each backend decodes these streams, and codes the
pictures itself for the first one to decode. Counted are pictures: "tables" of
which a table was chosen differently, "y_hat" that decoded differently or not
at all, "back" the same for what the backend coded. Random weights have latents
and scales that are spread out, as those of a trained codec are.

The digest is that of what the hyper-synthesis makes of fixed integers: equal
weights of a portable codec have equal ones on every machine, forever.
"""
import argparse
import copy
import hashlib
import itertools
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from PIL import Image
from rich.console import Console
from rich.table import Column, Table
from torch import Tensor, nn

from mmhmc.bitstream import Bitstream, BitstreamError
from mmhmc.checkpoints import read_checkpoint
from mmhmc.codecs import ImageCodec, build_codec
from mmhmc.structures import CodecOutput

SUFFIXES = {'.png', '.jpg', '.jpeg', '.webp', '.bmp'}
#: What computes in a codec; each is compiled by itself.
PARTS = ('g_a', 'g_s', 'h_a', 'h_s', 'context_prediction',
         'entropy_parameters')


@dataclass(frozen=True)
class Backend:
    """One way to compute; the defaults are the reference."""

    device: str = 'cpu'
    threads: int = 1
    channels_last: bool = False
    onednn: bool = True
    compiled: bool = False
    bfloat16: bool = False

    def __str__(self) -> str:
        words = [self.device]
        if self.device == 'cpu':
            words += [f'{self.threads} thr.']
        words += [
            word for flag, word in ((self.channels_last, 'channels last'),
                                    (not self.onednn,
                                     'no oneDNN'), (self.compiled, 'compiled'),
                                    (self.bfloat16, 'bf16')) if flag
        ]
        return ', '.join(words)

    def prepare(self, codec: ImageCodec) -> ImageCodec:
        """A copy of the codec that computes so."""
        codec = copy.deepcopy(codec).to(self.device)
        if self.channels_last:
            codec.to(memory_format=torch.channels_last)
        if self.bfloat16:
            codec.transform_dtype = torch.bfloat16
        for name in PARTS if self.compiled else ():
            if hasattr(codec, name):
                getattr(codec, name).compile()
        return codec

    @contextmanager
    def active(self) -> Iterator[None]:
        """Threads and oneDNN, which belong to the process."""
        torch.set_num_threads(self.threads)
        try:
            with torch.backends.mkldnn.flags(enabled=self.onednn):
                yield
        finally:
            torch.set_num_threads(1)


def backends(axes: list[str]) -> list[Backend]:
    """All combinations along some axes, the reference first."""
    counts = sorted({1, 2, os.cpu_count()}) if 'threads' in axes else [1]
    flags = [[False, True] if axis in axes else [False]
             for axis in ('layout', 'onednn', 'compile', 'bf16')]
    ways = list(itertools.product(*flags))
    made = [
        Backend('cpu', threads, layout, not without, compiled, bfloat16)
        for layout, without, compiled, bfloat16 in ways for threads in counts
    ]
    if torch.cuda.is_available():
        # oneDNN and the number of threads are the CPU's affair.
        made += [
            Backend('cuda', 1, layout, True, compiled, bfloat16)
            for layout, without, compiled, bfloat16 in ways if not without
        ]
    return made


def read_pictures(folders: list[str], count: int, side: int) -> list[Tensor]:
    """Middles of pictures, evenly from all folders, RGB in [0, 1]."""
    paths = [
        sorted(
            path for path in Path(folder).rglob('*')
            if path.suffix.lower() in SUFFIXES) for folder in folders
    ]
    mixed = [
        path for row in itertools.zip_longest(*paths) for path in row if path
    ]
    pictures = []
    for path in mixed[:count]:
        with Image.open(path) as picture:
            width, height = picture.size
            left, top = max(0, width - side) // 2, max(0, height - side) // 2
            box = left, top, min(width, left + side), min(height, top + side)
            values = np.array(picture.convert('RGB').crop(box))
        pictures.append(torch.from_numpy(values).permute(2, 0, 1)[None] / 255)
    if not pictures:
        raise SystemExit(f'There are no pictures in {folders}.')
    return pictures


def read_codec(config: str, checkpoint: str) -> ImageCodec:
    """The codec of a training config with its weights."""
    config = Config.fromfile(config)
    codec = build_codec(config.get('model', config)['codec'])
    state = read_checkpoint(checkpoint)
    state = state.get('state_dict', state)
    own = {
        key[len('codec.'):]: value
        for key, value in state.items() if key.startswith('codec.')
    }
    codec.load_state_dict(own or state)
    return codec.eval()


@torch.no_grad()
def random_codec(name: str, x: Tensor) -> ImageCodec:
    """Weights of seed 0; scales spread by a factor of 3.3 around 1."""
    torch.manual_seed(0)
    codec = build_codec(dict(type=f'mmhmc.{name}')).eval()
    _give_amplitude(codec.g_a, 4, lambda: codec.g_a(x))
    y = codec.g_a(x)
    if not hasattr(codec, 'h_s'):
        return codec
    _give_amplitude(codec.h_a, 3, lambda: codec.h_a(y))
    layers = getattr(codec, 'entropy_parameters', codec.h_s)
    key = 'h_s' if layers is codec.h_s else 'entropy_parameters'
    last, m = _last_convolution(layers), codec.latent_channels
    nn.init.zeros_(last.bias)
    entering = codec.prior_inputs(y)[key]
    gain = 0.5 / layers(entering).square().mean().sqrt()
    levels = (1.2 * torch.randn(m)).exp()
    last.weight[:m].mul_(gain * levels.view(-1, 1, 1, 1))
    last.weight[m:].mul_(gain)
    last.bias[:m] = levels
    return codec


def _last_convolution(part: nn.Sequential) -> nn.Conv2d:
    return [layer for layer in part if isinstance(layer, nn.Conv2d)][-1]


def _give_amplitude(part: nn.Sequential, amplitude: float,
                    run: Callable[[], Tensor]) -> None:
    last = _last_convolution(part)
    for _ in range(3):
        gain = amplitude / run().square().mean().sqrt()
        last.weight.mul_(gain)
        last.bias.mul_(gain)


class Watched:
    """A codec that notes which tables it chooses."""

    def __init__(self, codec: ImageCodec) -> None:
        self.codec, self.chosen = codec, []
        if hasattr(codec, 'h_s'):
            choose = codec.scale_indexes
            codec.scale_indexes = lambda scales: self._note(choose(scales))

    def _note(self, indexes: Tensor) -> Tensor:
        self.chosen.append(indexes.flatten().cpu())
        return indexes

    def encode(self, x: Tensor) -> tuple[CodecOutput, Bitstream]:
        """Of one picture whose sides are multiples of 64."""
        output = self.codec.encode_latents(
            x.to(next(self.codec.parameters()).device))
        return output, self.codec.write(output, tuple(x.shape[-2:]))

    def decode(self, stream: Bitstream) -> tuple[Tensor, Tensor]:
        """Tables and ``y_hat``, both empty where decoding fails."""
        self.chosen.clear()
        try:
            y_hat = self.codec.read(stream).cpu()
        except BitstreamError:
            y_hat = torch.empty(0)
        chosen = torch.cat([torch.empty(0).int(), *self.chosen])
        return chosen, y_hat

    def digest(self) -> str:
        """SHA-256 of what fixed integers become."""
        if not hasattr(self.codec, 'h_s'):
            return 'tables only'
        channels = self.codec.entropy_bottleneck.channels
        z_hat = torch.arange(channels * 96) * 37 % 19 - 9.
        z_hat = z_hat.view(1, channels, 8,
                           12).to(next(self.codec.parameters()).device)
        content = self.codec.run_prior('h_s', z_hat).cpu().contiguous()
        return hashlib.sha256(content.numpy().tobytes()).hexdigest()


@torch.no_grad()
def compare(codec: ImageCodec, cells: list[Backend],
            pictures: list[Tensor]) -> Iterator[tuple[list[int], str]]:
    """For each backend the pictures that differ, and the digest."""
    here = Watched(copy.deepcopy(codec))
    coded = [here.encode(x) for x in pictures]
    expected = [here.decode(stream) for _, stream in coded]
    for (output, _), (_, y_hat) in zip(coded, expected):
        # The reference itself has to be right.
        assert torch.equal(output.y_hat, y_hat)
    for cell in cells:
        there, counts = Watched(cell.prepare(codec)), [0, 0, 0]
        for x, (_, stream), (chosen, y_hat) in zip(pictures, coded, expected):
            with cell.active():
                got = there.decode(stream)
                output, back = there.encode(x)
            counts[0] += not torch.equal(got[0], chosen)
            counts[1] += not torch.equal(got[1], y_hat)
            counts[2] += not torch.equal(
                here.decode(back)[1], output.y_hat.cpu())
        with cell.active():
            yield counts, there.digest()


def report(name: str, codec: ImageCodec, cells: list[Backend],
           pictures: list[Tensor]) -> Table:
    """Both paths of one codec over all backends."""
    codec.update_entropy_tables()
    portable = copy.deepcopy(codec)
    portable.make_portable(pictures[0])
    height, width = pictures[0].shape[-2:]
    table = Table(
        Column('backend', no_wrap=True),
        *(f'{path}\n{column}' for path in ('float', 'portable')
          for column in ('tables', 'y_hat', 'back')),
        Column('digest', no_wrap=True),
        title=f'{name}: pictures of {len(pictures)} that differ, {width} x '
        f'{height}')
    paths = [compare(one, cells, pictures) for one in (codec, portable)]
    for cell, *results in zip(cells, *paths):
        counts = [str(n) for numbers, _ in results for n in numbers]
        table.add_row(str(cell), *counts, results[-1][1][:12])
    return table


def main() -> None:
    """Print one table for each codec."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folders', nargs='+', help='with pictures')
    parser.add_argument('--codec', help='config of a trained codec')
    parser.add_argument('--checkpoint', help='its weights')
    parser.add_argument('--random', nargs='+', default=[], metavar='NAME')
    parser.add_argument('--pictures', type=int, default=40)
    parser.add_argument(
        '--side',
        type=int,
        default=256,
        help='the middle of each picture is coded, so many pixels wide and '
        'high; a multiple of 64')
    axes = ['layout', 'threads', 'onednn', 'compile', 'bf16']
    parser.add_argument('--axes', nargs='+', choices=axes, default=axes)
    args = parser.parse_args()
    if bool(args.codec) != bool(
            args.checkpoint) or not (args.codec or args.random):
        parser.error('give --codec with --checkpoint, or --random')
    if args.side % 64:
        parser.error(f'--side must be a multiple of 64, got {args.side}')
    # That a stream is of another device is the point.
    warnings.simplefilter('ignore')
    torch.set_num_threads(1)
    pictures = [
        x for x in read_pictures(args.folders, args.pictures, args.side)
        if x.shape[-2:] == (args.side, args.side)
    ]
    console, cells = Console(width=140), backends(args.axes)
    if args.codec:
        codec = read_codec(args.codec, args.checkpoint)
        console.print(report(args.codec, codec, cells, pictures))
    for name in args.random:
        codec = random_codec(name, pictures[0])
        console.print(report(name, codec, cells, pictures))


if __name__ == '__main__':
    main()
