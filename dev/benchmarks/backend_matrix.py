"""Does a stream decode to the same latent whatever computes it?

    python dev/benchmarks/backend_matrix.py FOLDER... --zoo
    python dev/benchmarks/backend_matrix.py FOLDER... --zoo NAME...
    python dev/benchmarks/backend_matrix.py FOLDER... --random NAME...

Images are encoded on the CPU, contiguous, in one thread, with oneDNN, eagerly
and in float32. Then each backend decodes these bitstreams, and encodes the
images itself for the first one to decode. Counted are images that differ:
"tables" where another table was chosen, "y_hat" where another latent was
decoded or none, "batch" where a latent of a batch is quantised otherwise than
alone, "back" where the first one decodes another latent than the backend's
encoder had. With `--page FILE` the counts also go into a Markdown table, a
line a model.

Random weights have latents and scales that are spread out, as those of a
trained codec are.
"""
import argparse
import copy
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Optional

import torch
from rich.console import Console
from rich.table import Column, Table
from torch import Tensor, nn

from mmhmc.apis import fetch_weights, list_models, load_codec, load_config
from mmhmc.apis.command import run_tool
from mmhmc.bitstream import Bitstream, BitstreamError
from mmhmc.checkpoints import read_checkpoint
from mmhmc.codecs import ImageCodec, build_codec
from mmhmc.datasets import IMAGE_SUFFIXES, list_files, read_image
from mmhmc.part_weights import weights_of
from mmhmc.structures import CodecOutput, CodingCondition

#: What computes in a codec; each is compiled by itself.
PARTS = ('g_a', 'g_s', 'h_a', 'h_s', 'context_prediction',
         'entropy_parameters')
#: Networks that give scales first, by the names that codecs have for them.
SCALE_NETWORKS = ('scale_context', 'entropy_parameters', 'h_s')
COUNTS = ('tables', 'y_hat', 'batch', 'back')
AXES = ('layout', 'threads', 'onednn', 'compile', 'bf16')


@dataclass(frozen=True)
class Backend:
    """One way to compute; the defaults are the reference."""

    device: str = 'cpu'
    channels_last: bool = False
    compiled: bool = False
    bfloat16: bool = False
    onednn: bool = True
    threads: int = 1

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
    flags = [[False, True] if axis in axes else [False]
             for axis in ('layout', 'compile', 'bf16', 'onednn')]
    counts = [1, 2, 4] if 'threads' in axes else [1]
    made = [
        Backend('cpu', layout, compiled, bfloat16, not without, threads)
        for layout, compiled, bfloat16, without, threads in itertools.product(
            *flags, counts)
    ]
    if torch.cuda.is_available():
        # oneDNN and the number of threads are the CPU's affair.
        made += [
            Backend('cuda', *ways) for ways in itertools.product(*flags[:3])
        ]
    return made


def read_middles(folders: list[str], count: int, side: int) -> list[Tensor]:
    """Middles of images, evenly from all folders, (1, 3, side, side)."""
    paths = [list_files(folder, IMAGE_SUFFIXES) for folder in folders]
    mixed = [
        path for row in itertools.zip_longest(*paths) for path in row if path
    ]
    images = []
    for path in mixed:
        image = read_image(path)
        top, left = (max(0, length - side) // 2 for length in image.shape[1:])
        middle = image[None, :, top:top + side, left:left + side]
        if middle.shape[-2:] == (side, side) and len(images) < count:
            images.append(middle)
    if not images:
        raise SystemExit(f'There are no images of {side} pixels in {folders}.')
    return images


def trained_codec(name: str) -> Optional[ImageCodec]:
    """The codec of a model of the zoo; None for a model without one."""
    config = load_config(name)
    model = config.get('model', {})
    if 'codec' not in model and 'codec' not in model.get('backbone', {}):
        return None
    weights = fetch_weights(name, progress=False)
    state = weights_of(read_checkpoint(weights), name)
    if any('g_a.' in key for key in state):
        return load_codec(config, weights)
    # The codec is another model of the zoo, which the config names.
    return load_codec(config)


@torch.no_grad()
def random_codec(name: str, x: Tensor) -> ImageCodec:
    """Weights of seed 0; scales spread by a factor of 3.3 around 1."""
    torch.manual_seed(0)
    codec = build_codec(dict(type=f'mmhmc.{name}')).eval()
    for part, entering, amplitude in (('g_a', x, 4), ('h_a', None, 3)):
        if not hasattr(codec, part):
            continue
        entering = codec.g_a(x) if entering is None else entering
        network = getattr(codec, part)
        gain = amplitude / network(entering).square().mean().sqrt()
        last = _convolutions(network)[-1]
        last.weight.mul_(gain)
        if last.bias is not None:
            last.bias.mul_(gain)
    names = [part for part in SCALE_NETWORKS if hasattr(codec, part)]
    for network in _networks(getattr(codec, names[0])) if names else ():
        bias = _convolutions(network)[-1].bias
        count = len(bias) if names[0] == 'scale_context' else len(bias) // 2
        bias[:count] = (1.2 * torch.randn(count)).exp()
    codec.update_entropy_tables()
    return codec


def _networks(part: nn.Module) -> list[nn.Module]:
    return list(part.values()) if isinstance(part, nn.ModuleDict) else [part]


def _convolutions(part: nn.Module) -> list[nn.Module]:
    return [
        layer for layer in part.modules()
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d))
    ]


class Watched:
    """A codec that notes which tables it chooses."""

    def __init__(self, codec: ImageCodec) -> None:
        self.codec, self.chosen = codec, []
        self.device = next(codec.parameters()).device
        # Between two qualities, where there are several.
        self.condition = None
        if getattr(codec, 'variable_rate', False):
            self.condition = CodingCondition(quality=4.5)
        choose = codec.scale_indexes
        codec.scale_indexes = lambda scales: self._note(choose(scales))

    def _note(self, indexes: Tensor) -> Tensor:
        self.chosen.append(indexes.flatten().cpu())
        return indexes

    def encode(self, x: Tensor) -> CodecOutput:
        """Of images whose sides are multiples of 64."""
        return self.codec.encode_latents(x.to(self.device), self.condition)

    def write(self, output: CodecOutput, x: Tensor) -> Bitstream:
        """Bitstream of one image."""
        return self.codec.write(output, tuple(x.shape[-2:]), self.condition)

    def decode(self, stream: Bitstream) -> tuple[Tensor, Tensor]:
        """Tables and ``y_hat``, which is empty where decoding fails."""
        self.chosen.clear()
        try:
            y_hat = self.codec.read(stream).cpu()
        except BitstreamError:
            y_hat = torch.empty(0)
        return torch.cat([torch.empty(0).int(), *self.chosen]), y_hat

    def batch_differs(self, output: CodecOutput) -> bool:
        """Whether a latent is quantised otherwise in a batch than alone."""
        codec = self.codec
        if not hasattr(codec, 'h_s'):
            return False
        quality = {}
        if self.condition is not None:
            quality = dict(quality=self.condition.quality)
        # Beside it there may be a texture, which has no conditional.
        channels = getattr(codec, 'semantic_channels', codec.latent_channels)
        y = output.y_hat[:, :channels].contiguous()
        alone = codec.quantise_latent(y, False, **quality).y_hat
        both = codec.quantise_latent(
            torch.cat((y.flip(-1), y)), False, **quality).y_hat
        return not torch.equal(both[1:], alone)


@torch.no_grad()
def compare(codec: ImageCodec, cells: list[Backend],
            images: list[Tensor]) -> Iterator[list[int]]:
    """For each backend the images that differ, as :data:`COUNTS`."""
    here = Watched(copy.deepcopy(codec))
    coded = []
    for x in images:
        output = here.encode(x)
        stream = here.write(output, x)
        chosen, y_hat = here.decode(stream)
        # The reference itself has to be right.
        assert torch.equal(output.y_hat, y_hat)
        coded.append((x, stream, chosen, y_hat))
    ways = itertools.groupby(
        cells, lambda cell:
        (cell.device, cell.channels_last, cell.compiled, cell.bfloat16))
    for _, group in ways:
        group = list(group)
        there = Watched(group[0].prepare(codec))
        for cell in group:
            counts = [0] * len(COUNTS)
            for x, stream, chosen, y_hat in coded:
                with cell.active():
                    got = there.decode(stream)
                    output = there.encode(x)
                    back = there.write(output, x)
                    counts[2] += there.batch_differs(output)
                counts[0] += not torch.equal(got[0], chosen)
                counts[1] += not torch.equal(got[1], y_hat)
                counts[3] += not torch.equal(
                    here.decode(back)[1], output.y_hat.cpu())
            yield counts


def report(name: str, codec: ImageCodec, cells: list[Backend],
           images: list[Tensor], console: Console) -> str:
    """One codec over all backends: a table, and a line for a page."""
    table = Table(
        Column('backend', no_wrap=True),
        *COUNTS,
        title=f'{name}: images of {len(images)} that differ')
    total = [0] * len(COUNTS)
    for cell, counts in zip(cells, compare(codec, cells, images)):
        table.add_row(str(cell), *map(str, counts))
        total = [a + b for a, b in zip(total, counts)]
    console.print(table)
    cases = len(cells) * len(images)
    return '| {} | {} | {} | {} |'.format(name,
                                          type(codec).__name__, cases,
                                          ' | '.join(map(str, total)))


def parse_args() -> argparse.Namespace:
    """Arguments of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folders', nargs='+', help='with images')
    parser.add_argument(
        '--zoo', nargs='*', metavar='NAME', help='models; none: all')
    parser.add_argument('--random', nargs='+', default=[], metavar='CODEC')
    parser.add_argument('--images', type=int, default=40)
    parser.add_argument(
        '--side',
        type=int,
        default=256,
        help='the middle of each image is coded, so many pixels wide and '
        'high; a multiple of 64')
    parser.add_argument('--axes', nargs='+', choices=AXES, default=AXES)
    parser.add_argument('--page', help='file that lines are appended to')
    args = parser.parse_args()
    if args.zoo is None and not args.random:
        parser.error('give --zoo or --random')
    if args.side % 64:
        parser.error(f'--side must be a multiple of 64, got {args.side}')
    return args


def main() -> None:
    """Print one table for each codec."""
    args = parse_args()
    torch.set_num_threads(1)
    images = read_middles(args.folders, args.images, args.side)
    console, cells = Console(width=100), backends(args.axes)
    names = args.zoo
    if names == []:
        names = list(list_models())
    for name in [*(names or []), *args.random]:
        if name in args.random:
            codec = random_codec(name, images[0])
        else:
            codec = trained_codec(name)
        if codec is None:
            continue
        line = report(name, codec, cells, images, console)
        if args.page:
            with open(args.page, 'a') as page:
                page.write(line + '\n')


if __name__ == '__main__':
    run_tool(main)
