"""Tools that draw one PNG for each image that a codec codes."""
import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from .arguments import add_output, keep_existing


def add_coded_images(parser: argparse.ArgumentParser) -> None:
    """Add the codec, the images, and the folder of the PNG files."""
    parser.add_argument('model', help='model of the zoo, or config of a codec')
    parser.add_argument('images', nargs='+', help='image files')
    add_output(parser, 'DIR', 'folder of the PNG files', required=True)
    parser.add_argument('--checkpoint', help="the codec's weights")


def draw_each(args: argparse.Namespace, prepare: Callable) -> None:
    """Draw all images, or end with what is wrong in one line.

    Args:
        args: With what :func:`add_coded_images` adds.
        prepare: Called once with ``args`` and the codec; gives a function of
            an image (1, 3, H, W), RGB in [0, 1], to the columns of its PNG,
            see :func:`mmhmc.visualization.draw_image_grid`.

    Raises:
        FileExistsError: If a PNG is there, without ``--force``.
    """
    paths = [
        Path(args.output, f'{Path(name).stem}.png') for name in args.images
    ]
    keep_existing(paths, args.force)
    from mmhmc.apis import load_codec
    from mmhmc.datasets import read_image
    from mmhmc.visualization import draw_image_grid
    try:
        columns_of = prepare(args, load_codec(args.model, args.checkpoint))
        Path(args.output).mkdir(parents=True, exist_ok=True)
        for name, path in zip(args.images, paths):
            draw_image_grid(columns_of(read_image(name)[None]), path)
            print(f'Written: {path}')
    except (OSError, ValueError) as error:
        sys.exit(f'{type(error).__name__}: {error}')
