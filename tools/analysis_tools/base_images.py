"""What the base of a file in layers shows, and all of it; a PNG an image."""
import sys
from pathlib import Path

from mmhmc.apis.command import run_tool, tool_parser
from mmhmc.cli.arguments import add_output, keep_existing
from mmhmc.machine import tune_cpu


def main(argv=None) -> None:
    """Code in layers and draw."""
    parser = tool_parser(__doc__)
    parser.add_argument('model', help='model of the zoo, or config of a codec')
    parser.add_argument('images', nargs='+', help='image files')
    add_output(parser, 'DIR', 'folder of the PNG files', required=True)
    parser.add_argument('--checkpoint', help="the codec's weights")
    parser.add_argument(
        '--layers',
        type=int,
        nargs='+',
        default=[3],
        metavar='FACTOR',
        help='odd factors, one for each layer after the base; default 3')
    parser.add_argument('--quality', type=float, help='of a codec with many')
    args = parser.parse_args(argv)
    paths = [
        Path(args.output, f'{Path(name).stem}.png') for name in args.images
    ]
    keep_existing(paths, args.force)
    if argv is None:
        tune_cpu()
    try:
        for path in _draw(args, paths):
            print(f'Written: {path}')
    except (OSError, ValueError) as error:
        sys.exit(f'{type(error).__name__}: {error}')


def _draw(args, paths):
    from mmhmc.apis import load_codec
    from mmhmc.datasets import read_image
    from mmhmc.structures import CodingCondition
    from mmhmc.visualization import draw_image_grid, layer_figures
    codec = load_codec(args.model, args.checkpoint)
    codec.layers = args.layers
    condition = None
    if args.quality is not None:
        condition = CodingCondition(quality=args.quality)
    Path(args.output).mkdir(parents=True, exist_ok=True)
    for name, path in zip(args.images, paths):
        figures = layer_figures(codec, read_image(name)[None], condition)
        titled = [(f'{figure.title}: {figure.text}', figure.pixels)
                  for figure in figures]
        # The original; then of each number of layers the image above its bits.
        count = len(figures) // 2
        bits, decoded = titled[1:count + 1], titled[count + 1:]
        columns = [titled[:1], *map(list, zip(decoded, bits))]
        yield draw_image_grid(columns, path)


if __name__ == '__main__':
    run_tool(main)
