"""Test a checkpoint: `python tools/test.py CONFIG CHECKPOINT`."""
import os

from mmhmc.apis.command import run_tool, tool_parser
from mmhmc.apis.config_files import add_run_arguments
from mmhmc.machine import tune_cpu


def main() -> None:
    """Test by the arguments of mmdet's tool, and those of the codec."""
    parser = tool_parser(__doc__)
    add_run_arguments(parser)
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', help='pickle file for all predictions')
    parser.add_argument(
        '--show', action='store_true', help='show predictions in a window')
    parser.add_argument('--show-dir', help='folder for painted predictions')
    parser.add_argument(
        '--wait-time', type=float, default=2, help='seconds a window stays')
    parser.add_argument('--tta', action='store_true', help='use tta_model')
    args = parser.parse_args()
    if args.out and not args.out.endswith(('.pkl', '.pickle')):
        parser.error(f'--out must end in .pkl or .pickle, got {args.out!r}')
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    tune_cpu()
    from mmhmc.apis.testing import run_test
    from mmhmc.apis.training import load_config
    cfg = load_config(
        args.config,
        args.cfg_options,
        args.work_dir,
        codec=args.codec,
        adapter=args.adapter,
        sample_data=args.sample_data)
    run_test(
        cfg,
        args.checkpoint,
        launcher=args.launcher,
        out=args.out,
        show=args.show,
        show_dir=args.show_dir,
        wait_time=args.wait_time,
        tta=args.tta)


if __name__ == '__main__':
    run_tool(main, long=True)
