"""An image as people and each task of a codec get it, with its paths."""
import sys

from mmhmc.apis.command import run_tool, tool_parser
from mmhmc.apis.config_files import OptionsAction
from mmhmc.cli.arguments import add_output, keep_existing
from mmhmc.machine import tune_cpu


def main(argv=None) -> None:
    """Draw."""
    parser = tool_parser(__doc__)
    parser.add_argument('config', help='config of a codec with several tasks')
    parser.add_argument('checkpoint', help='its weights')
    parser.add_argument('image', help='image file')
    add_output(parser, 'FILE.png', 'PNG to write', required=True)
    parser.add_argument(
        '--quality', type=float, help='rate index; the highest if left out')
    parser.add_argument(
        '--alpha',
        type=float,
        default=0.5,
        help="share of a task's positions in the masks; default 0.5")
    parser.add_argument('--cfg-options', nargs='+', action=OptionsAction)
    args = parser.parse_args(argv)
    keep_existing([args.output], args.force)
    if argv is None:
        tune_cpu()
    from mmhmc.apis import load_codec
    from mmhmc.datasets import read_image
    from mmhmc.visualization.task_images import write_task_images
    try:
        codec = load_codec(
            args.config, args.checkpoint, cfg_options=args.cfg_options)
        path = write_task_images(codec, read_image(args.image), args.output,
                                 args.quality, args.alpha)
    except (OSError, ValueError) as error:
        sys.exit(f'{type(error).__name__}: {error}')
    print(f'Written: {path}')


if __name__ == '__main__':
    run_tool(main)
