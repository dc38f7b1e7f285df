"""Draw what trainings logged, over their steps.

    python tools/analysis_tools/training_curves.py work_dirs/a work_dirs/b \\
        --quantities loss bpp psnr --out curves.png

A line is named by its folder.
"""
import sys
from pathlib import Path

from mmhmc.apis.command import run_tool, tool_parser
from mmhmc.cli.arguments import add_output, keep_existing
from mmhmc.visualization import draw_training, read_scalars


def main(argv=None) -> None:
    """Read and draw."""
    parser = tool_parser(__doc__)
    parser.add_argument('work_dirs', nargs='+', type=Path)
    parser.add_argument('--quantities', nargs='+', default=['loss'])
    add_output(parser, 'FILE.png', 'PNG to write', required=True)
    args = parser.parse_args(argv)
    keep_existing([args.output], args.force)
    try:
        runs = {path.name: read_scalars(path) for path in args.work_dirs}
        path = draw_training(runs, args.quantities, args.output)
    except (OSError, ValueError) as error:
        sys.exit(f'{type(error).__name__}: {error}')
    print(f'Written: {path}')


if __name__ == '__main__':
    run_tool(main)
