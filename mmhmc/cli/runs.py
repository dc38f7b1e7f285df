"""``mmhmc train``, ``test``, ``benchmark``, ``compare``: long runs."""
import argparse
import os

from .arguments import (Commands, add_cfg_options, add_checkpoint, add_command,
                        add_jobs, add_launcher, add_mixing, add_output,
                        add_path, add_run_model, cfg_options, complain,
                        keep_existing, mixed_config, model_of)


def add_commands(commands: Commands) -> None:
    """Add the subcommands of this module."""
    _add_train(commands)
    _add_test(commands)
    _add_benchmark(commands)
    _add_compare(commands)


def _add_train(commands: Commands) -> None:
    parser = add_command(
        commands,
        _train,
        'train a codec, a model, or both together',
        'Train by a config of this package or of a host, with a codec mixed '
        'in by --codec. Stages that a config lists run before it.',
        stopped='--resume goes on from the last checkpoint.',
        long=True)
    add_run_model(parser)
    add_output(
        parser,
        'DIR',
        'folder for logs and checkpoints; default: work_dirs/NAME',
        '--work-dir',
        dest='work_dir',
        force=False)
    add_mixing(parser)
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
        metavar='FILE',
        help='go on from this checkpoint, or from the last one; finished '
        'stages are kept')
    add_launcher(parser)


def _train(args: argparse.Namespace) -> int:
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    from mmhmc.apis.training import run_training
    run_training(
        mixed_config(args, args.work_dir),
        model_of(args),
        amp=args.amp,
        auto_scale_lr=args.auto_scale_lr,
        resume=args.resume,
        launcher=args.launcher,
        lmbda=args.lmbda)
    return 0


def _add_test(commands: Commands) -> None:
    parser = add_command(
        commands,
        _test,
        'measure a trained model with real bitstreams',
        'Test a model on the images that its config names: rate, image '
        'quality and the metrics of the task. Weights that are not given are '
        'those of the model, or else the last ones that training has left in '
        'the work directory.',
        stopped='With --qualities the same command goes on where it stopped.',
        long=True)
    add_run_model(parser)
    _add_run_checkpoint(parser)
    parser.add_argument(
        '--work-dir', help='folder for logs; default: work_dirs/NAME')
    add_output(parser, 'FILE.pkl', 'pickle file for all predictions')
    add_mixing(parser)
    parser.add_argument(
        '--show', action='store_true', help='show predictions in a window')
    parser.add_argument('--show-dir', help='folder for painted predictions')
    parser.add_argument(
        '--wait-time', type=float, default=2, help='seconds a window stays')
    parser.add_argument('--tta', action='store_true', help='use tta_model')
    parser.add_argument(
        '--qualities',
        type=_numbers,
        metavar='Q,Q,...',
        help='test at each of these qualities: table, JSON and figures of the '
        'curve go to `qualities` in the work directory')
    add_launcher(parser)


def _test(args: argparse.Namespace) -> int:
    if args.output and not args.output.endswith(('.pkl', '.pickle')):
        args.parser.error('--output must end in .pkl or .pickle, got '
                          f'{args.output!r}')
    if args.qualities and (args.output or args.show or args.show_dir
                           or args.tta):
        args.parser.error('--qualities tests without --output, --show, '
                          '--show-dir and --tta: give one quality by '
                          '--cfg-options')
    keep_existing(filter(None, [args.output]), args.force)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    from mmhmc.apis.testing import run_test
    cfg = mixed_config(args, args.work_dir)
    if args.qualities:
        from mmhmc.apis.quality_curve import run_qualities
        run_qualities(cfg, _checkpoint(args, cfg), args.qualities,
                      args.launcher)
        return 0
    run_test(
        cfg,
        _checkpoint(args, cfg),
        launcher=args.launcher,
        out=args.output,
        show=args.show,
        show_dir=args.show_dir,
        wait_time=args.wait_time,
        tta=args.tta)
    return 0


def _numbers(text: str) -> list[float]:
    try:
        return [float(word) for word in text.split(',')]
    except ValueError:
        raise argparse.ArgumentTypeError(
            'expected numbers with commas between them, such as 1,2,4,8; got '
            f'{text!r}') from None


def _add_benchmark(commands: Commands) -> None:
    parser = add_command(
        commands,
        _benchmark,
        'compare codecs: rate against quality and accuracy',
        'Measure every codec, rate, data set and task that a config lists. '
        'Results go to DIR/results.jsonl, curves, tables and a page beside '
        'it. Started by torchrun or srun, the processes share the work.',
        stopped='--resume goes on from what is finished.')
    add_path(parser, 'config', metavar='CONFIG', help='benchmark config')
    add_output(
        parser,
        'DIR',
        'folder for the results; default: that of the config',
        '--work-dir',
        dest='work_dir',
        force=False)
    parser.add_argument(
        '--resume',
        action='store_true',
        help='keep what was made under the same settings')
    add_jobs(parser)
    add_cfg_options(parser)


def _benchmark(args: argparse.Namespace) -> int:
    from mmhmc.apis.benchmark import read_plan, run_benchmark
    from mmhmc.apis.benchmark.report import report_run
    plan = read_plan(args.config, cfg_options(args), args.work_dir)
    outcome = run_benchmark(plan, args.resume, args.jobs)
    if outcome.rank == 0:
        print(report_run(plan, outcome))
    # Another rank must not end the first before it has reported.
    return 1 if outcome.failures and outcome.rank == 0 else 0


def _add_compare(commands: Commands) -> None:
    parser = add_command(
        commands, _compare,
        'compare a detector with adaptation, without it, and uncompressed',
        'Test a detector behind a codec three ways: with its adaptation, '
        'without it, and on uncompressed images. Writes a table and a figure.')
    add_run_model(parser)
    _add_run_checkpoint(parser)
    parser.add_argument('--work-dir', help='where it was trained')
    add_output(
        parser, 'DIR', 'folder for the results; default: `comparison` '
        'in the work directory')
    add_mixing(parser)
    parser.add_argument(
        '--num-images',
        '--num-pictures',
        type=int,
        default=4,
        metavar='N',
        help='rows of the figure; default 4')


def _compare(args: argparse.Namespace) -> int:
    from pathlib import Path

    from mmhmc.apis.comparison import compare_adaptation, format_table
    from mmhmc.apis.training import prepare_data
    cfg = mixed_config(args, args.work_dir)
    checkpoint = _checkpoint(args, cfg)
    out = Path(args.output or Path(cfg.work_dir) / 'comparison')
    if args.output:
        keep_existing([out / 'comparison.json'], args.force)
    elif (out / 'comparison.json').exists():
        complain(args, f'the comparison in {out} is replaced.')
    prepare_data(cfg)
    results = compare_adaptation(cfg, checkpoint, out, args.num_images)
    print(f'\n{model_of(args)}, {checkpoint}\n')
    print(format_table(results))
    print(f'Written: {out}/comparison.{{md,json,png}}')
    return 0


def _add_run_checkpoint(parser: argparse.ArgumentParser) -> None:
    """Weights as the hosts' tools take them, and as an option."""
    parser.add_argument(
        'weights', nargs='?', metavar='checkpoint', help='weights')
    add_checkpoint(parser)


def _checkpoint(args: argparse.Namespace, cfg) -> str:
    """Weights that are given, come with the model, or were trained last."""
    from mmhmc.apis.config_files import locate
    from mmhmc.apis.training import last_checkpoint
    if args.weights and args.checkpoint:
        args.parser.error('give the weights once: as the second argument or '
                          'by --checkpoint')
    return args.weights or args.checkpoint or locate(
        model_of(args)).checkpoint or last_checkpoint(cfg)
