"""What a search at encode time has changed, as one PNG for each image."""
from mmhmc.apis.command import run_tool, tool_parser
from mmhmc.cli.image_tools import add_coded_images, draw_each
from mmhmc.machine import tune_cpu


def main(argv=None) -> None:
    """Search and draw."""
    parser = tool_parser(__doc__)
    add_coded_images(parser)
    parser.add_argument('--steps', type=int, default=30, help='default 30')
    parser.add_argument(
        '--lmbda', type=float, help='weight of the distortion beside bpp')
    parser.add_argument(
        '--for',
        dest='host',
        help='model to search for, and to make the map of, or `machines`')
    parser.add_argument('--for-checkpoint', help='its weights')
    args = parser.parse_args(argv)
    if argv is None:
        tune_cpu()
    draw_each(args, _prepare)


def _prepare(args, codec):
    from mmhmc.apis.host_reader import HostReader
    from mmhmc.refinement import LatentRefinement, SketchMap
    from mmhmc.visualization import refinement_figures
    readers = []
    if args.host:
        readers = [HostReader(args.host, args.for_checkpoint)]
    refinement = LatentRefinement(
        args.lmbda, steps=args.steps, readers=readers)

    def columns(x):
        refined = refinement.refine(codec, x)
        shown = SketchMap(readers[0])(x) if readers else None
        titled = [(f'{figure.title}: {figure.text}', figure.pixels)
                  for figure in refinement_figures(codec, x, refined, shown)]
        # The original and its map; then what was before, above what is after.
        start = 2 if readers else 1
        return [titled[:start]] + [
            titled[i:i + 2] for i in range(start, len(titled), 2)
        ]

    return columns


if __name__ == '__main__':
    run_tool(main)
