"""What a search at encode time has changed, as one PNG for each image."""
import sys
from pathlib import Path

from mmhmc.apis.command import run_tool, tool_parser
from mmhmc.cli.arguments import add_output, keep_existing
from mmhmc.machine import tune_cpu


def main(argv=None) -> None:
    """Search and draw."""
    parser = tool_parser(__doc__)
    parser.add_argument('model', help='model of the zoo, or config of a codec')
    parser.add_argument('images', nargs='+', help='image files')
    add_output(parser, 'DIR', 'folder of the PNG files', required=True)
    parser.add_argument('--checkpoint', help="the codec's weights")
    parser.add_argument('--steps', type=int, default=30, help='default 30')
    parser.add_argument(
        '--lmbda', type=float, help='weight of the distortion beside bpp')
    parser.add_argument(
        '--for',
        dest='host',
        help='model to search for, and to make the map of, or `machines`')
    parser.add_argument('--for-checkpoint', help='its weights')
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
    from mmhmc.apis.host_reader import HostReader
    from mmhmc.datasets import read_image
    from mmhmc.refinement import LatentRefinement, SketchMap
    from mmhmc.visualization import draw_image_grid, refinement_figures
    codec = load_codec(args.model, args.checkpoint)
    readers = []
    if args.host:
        readers = [HostReader(args.host, args.for_checkpoint)]
    refinement = LatentRefinement(
        args.lmbda, steps=args.steps, readers=readers)
    Path(args.output).mkdir(parents=True, exist_ok=True)
    for name, path in zip(args.images, paths):
        x = read_image(name)[None]
        refined = refinement.refine(codec, x)
        shown = SketchMap(readers[0])(x) if readers else None
        figures = refinement_figures(codec, x, refined, shown)
        titled = [(f'{figure.title}: {figure.text}', figure.pixels)
                  for figure in figures]
        # The original and its map; then what was before, above what is after.
        start = 2 if readers else 1
        columns = [titled[:start]] + [
            titled[i:i + 2] for i in range(start, len(titled), 2)
        ]
        yield draw_image_grid(columns, path)


if __name__ == '__main__':
    run_tool(main)
