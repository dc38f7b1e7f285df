"""Table and image: with adaptation, without it, uncompressed."""
import sys
from pathlib import Path

from mmhmc.apis.command import run_tool, tool_parser
from mmhmc.apis.config_files import OptionsAction
from mmhmc.machine import tune_cpu


def main() -> None:
    """Compare."""
    parser = tool_parser(__doc__)
    parser.add_argument('config', help='config of a detector with a codec')
    parser.add_argument(
        'checkpoint',
        nargs='?',
        help='checkpoint; the last one of the work directory if left out')
    parser.add_argument('--work-dir', help='where it was trained')
    parser.add_argument('--lmbda', type=float, help='rate it was trained for')
    parser.add_argument('--out', help='folder of the results')
    parser.add_argument('--num-images', '--num-pictures', type=int, default=4)
    parser.add_argument('--cfg-options', nargs='+', action=OptionsAction)
    args = parser.parse_args()
    tune_cpu()
    from mmhmc.apis.comparison import compare_adaptation, format_table
    from mmhmc.apis.training import load_config, prepare_data
    cfg = load_config(args.config, args.cfg_options, args.work_dir, args.lmbda)
    last = Path(cfg.work_dir) / 'last_checkpoint'
    if args.checkpoint is None and not last.exists():
        sys.exit(f'{last} does not exist: train first, or name a checkpoint.')
    checkpoint = args.checkpoint or last.read_text().strip()
    try:
        prepare_data(cfg)
    except FileNotFoundError as error:
        sys.exit(f'FileNotFoundError: {error}')
    out = Path(args.out or Path(cfg.work_dir) / 'comparison')
    results = compare_adaptation(cfg, checkpoint, out, args.num_images)
    print(f'\n{Path(args.config).stem}, {checkpoint}\n')
    print(format_table(results))
    print(f'Written: {out}/comparison.{{md,json,png}}')


if __name__ == '__main__':
    run_tool(main)
