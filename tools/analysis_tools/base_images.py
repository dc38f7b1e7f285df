"""What the base of a file in layers shows, and all of it; a PNG an image."""
from mmhmc.apis.command import run_tool, tool_parser
from mmhmc.cli.image_tools import add_coded_images, draw_each
from mmhmc.machine import tune_cpu


def main(argv=None) -> None:
    """Code in layers and draw."""
    parser = tool_parser(__doc__)
    add_coded_images(parser)
    parser.add_argument(
        '--layers',
        type=int,
        nargs='+',
        default=[3],
        metavar='FACTOR',
        help='odd factors, one for each layer after the base; default 3')
    parser.add_argument('--quality', type=float, help='of a codec with many')
    args = parser.parse_args(argv)
    if argv is None:
        tune_cpu()
    draw_each(args, _prepare)


def _prepare(args, codec):
    from mmhmc.structures import CodingCondition
    from mmhmc.visualization import layer_figures
    codec.layers = args.layers
    condition = None
    if args.quality is not None:
        condition = CodingCondition(quality=args.quality)

    def columns(x):
        titled = [(f'{figure.title}: {figure.text}', figure.pixels)
                  for figure in layer_figures(codec, x, condition)]
        # The original; then of each number of layers the image above its bits.
        count = len(titled) // 2
        bits, decoded = titled[1:count + 1], titled[count + 1:]
        return [titled[:1], *map(list, zip(decoded, bits))]

    return columns


if __name__ == '__main__':
    run_tool(main)
