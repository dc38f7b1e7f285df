"""Train by a config: `python tools/train.py CONFIG [--codec FILE]`."""
import argparse
import os

from mmhmc.apis.command import run_tool
from mmhmc.apis.config_files import OptionsAction
from mmhmc.machine import tune_cpu


def parse_args() -> argparse.Namespace:
    """Arguments of mmdet's tool, and those of the codec."""
    parser = argparse.ArgumentParser(description='Train by a config')
    parser.add_argument(
        'config',
        help='config file, or one of a package: mmdet::retinanet/....py')
    parser.add_argument('--work-dir', help='where logs and models go')
    parser.add_argument(
        '--codec',
        help='put a codec in front of the backbone: file with `codec`, e.g. '
        'configs/_base_/codecs/scale-hyperprior.py, or weights that '
        'CompressAI publishes: compressai://ARCHITECTURE/METRIC/QUALITY')
    parser.add_argument(
        '--adapter', help='and an adapter behind it: file with `adapter`')
    parser.add_argument(
        '--sample-data',
        action='store_true',
        help='use the built-in images instead of the data of the config')
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
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=OptionsAction,
        help='override settings of the config: key=value, key="[a,b]"')
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='job launcher')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
    return parser.parse_args()


def main() -> None:
    """Train."""
    args = parse_args()
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
