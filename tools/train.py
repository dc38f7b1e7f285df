"""Train by a config: `python tools/train.py CONFIG [--codec FILE]`."""
import os

from mmhmc.apis.command import run_tool, tool_parser
from mmhmc.apis.config_files import add_run_arguments
from mmhmc.machine import tune_cpu


def main() -> None:
    """Train by the arguments of mmdet's tool, and those of the codec."""
    parser = tool_parser(__doc__)
    add_run_arguments(parser)
    parser.add_argument(
        '--lmbda',
        type=float,
        help='rate: weight of the distortion in all stages, e.g. 0.0018 '
        '0.0035 0.0067 0.013')
    parser.add_argument(
        '--amp', action='store_true', help='automatic mixed precision')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate with the batch')
    parser.add_argument(
        '--resume',
        nargs='?',
        const=True,
        help='go on from this checkpoint, or from the last one; finished '
        'stages are kept')
    args = parser.parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    tune_cpu()
    from mmhmc.apis.training import load_config, run_training
    cfg = load_config(args.config, args.cfg_options, args.work_dir, args.lmbda,
                      args.codec, args.adapter, args.sample_data)
    run_training(
        cfg,
        args.config,
        amp=args.amp,
        auto_scale_lr=args.auto_scale_lr,
        resume=args.resume,
        launcher=args.launcher,
        lmbda=args.lmbda)


if __name__ == '__main__':
    run_tool(main, long=True)
