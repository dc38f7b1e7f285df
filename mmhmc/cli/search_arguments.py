"""Arguments of searches at encode time: for whom, how long, how many bits."""
import argparse

from .arguments import add_path


def add_search(parser: argparse.ArgumentParser) -> None:
    """Add ``--refine`` and what belongs to it."""
    group = parser.add_argument_group(
        'search for a better file', 'The decoder stays what it is, and no '
        'file gets worse by its objective. With a target and a codec that has '
        'one rate there is no file of that rate to compare with.')
    group.add_argument(
        '--refine',
        type=int,
        metavar='STEPS',
        help='search for the latent that serves best, e.g. 30 or 100 steps')
    group.add_argument(
        '--for',
        action='append',
        default=[],
        dest='hosts',
        metavar='NAME|CONFIG',
        help='for this model, too, by its features and without labels: any '
        'config of mmdet, mmseg or mmpretrain, or `machines` where it is not '
        'known; may be given several times')
    add_path(
        group,
        '--for-checkpoint',
        metavar='FILE',
        action='append',
        default=[],
        dest='host_checkpoints',
        help='its weights; default: those of the model. Of several models one '
        'for each, in their order')
    group.add_argument(
        '--task-weight',
        type=float,
        metavar='W',
        help='from 0, for people, to 1, for the models alone; default 0.5')
    group.add_argument(
        '--for-layers',
        type=int,
        metavar='N',
        help='the models see the first N layers alone, e.g. the base of '
        '--layers 2; people see all')
    group.add_argument(
        '--sketch',
        action='store_true',
        help='ask the model of --for once, for a map of the pixels that '
        'matter to it, in place of at every step: for large models')
    add_path(
        group,
        '--map',
        metavar='FILE|DIR',
        help='what matters: an image of the same size, whose brightness is '
        'the weight; weights or masks (.npy); boxes or COCO annotations '
        '(.json); or a folder with such a file for each image, in folders as '
        'the images are')
    group.add_argument(
        '--lmbda',
        type=float,
        help='weight of 255^2 * MSE beside bpp; default: that of the codec, '
        'measured at each image')
    group.add_argument(
        '--max-psnr-loss',
        type=float,
        metavar='DB',
        help='take no file that loses more PSNR than this by the search; not '
        'with a target for a codec that has one rate')


def add_target(parser: argparse.ArgumentParser) -> None:
    """Add ``--target-bpp``, ``--target-bytes``, ``--target-psnr``."""
    group = parser.add_argument_group(
        'rate control', 'By the quality of a codec that has several; of '
        'another one by a search, which needs --refine.')
    one = group.add_mutually_exclusive_group()
    one.add_argument(
        '--target-bpp',
        type=float,
        metavar='BPP',
        help='bits of each file, with its header, per pixel')
    one.add_argument(
        '--target-bytes',
        type=int,
        metavar='N',
        help='bytes of each file, with its header')
    one.add_argument(
        '--target-psnr', type=float, metavar='DB', help='of the 8-bit image')
    group.add_argument(
        '--at-most',
        action='store_true',
        help='never above these bytes, and never below this PSNR')


def refinement_of(args: argparse.Namespace):
    """The search that was asked for; None if there is none."""
    _check(args)
    if args.refine is None:
        return None
    from mmhmc.refinement import LatentRefinement, SketchMap
    readers, importance = [], None
    if args.hosts:
        from mmhmc.apis.host_reader import HostReader
        checkpoints = args.host_checkpoints or [None] * len(args.hosts)
        readers = [
            HostReader(host, checkpoint)
            for host, checkpoint in zip(args.hosts, checkpoints)
        ]
    if args.sketch:
        readers, importance = [], SketchMap(readers[0])
    return LatentRefinement(
        args.lmbda,
        args.refine,
        readers=readers,
        task_weight=args.task_weight,
        importance=importance,
        max_psnr_loss=args.max_psnr_loss,
        machine_layers=args.for_layers)


def target_of(args: argparse.Namespace):
    """The rate that was asked for; None if there is none."""
    given = (args.target_bpp, args.target_bytes, args.target_psnr)
    if given == (None, None, None):
        if args.at_most:
            args.parser.error('--at-most belongs to a target: --target-bpp, '
                              '--target-bytes or --target-psnr')
        return None
    if args.quality is not None:
        args.parser.error('--quality and a target exclude each other')
    from mmhmc.apis.rate_control import RateTarget
    return RateTarget(*given, args.at_most)


def _check(args: argparse.Namespace) -> None:
    """Refuse what would change nothing."""
    belongs = dict(
        hosts='--for',
        map='--map',
        lmbda='--lmbda',
        max_psnr_loss='--max-psnr-loss')
    given = [
        name for key, name in belongs.items()
        if getattr(args, key) not in (None, [])
    ]
    if args.refine is None and given:
        args.parser.error(f'{given[0]} belongs to a search: give --refine '
                          'STEPS')
    counts = len(args.hosts), len(args.host_checkpoints)
    if counts[1] and counts[0] != counts[1]:
        args.parser.error(f'there are {counts[0]} --for and {counts[1]} '
                          '--for-checkpoint; give one for each, or none')
    for key, name in dict(
            task_weight='--task-weight', for_layers='--for-layers').items():
        if getattr(args, key) is not None and (args.sketch or not args.hosts):
            args.parser.error(f'{name} belongs to --for, without --sketch')
    if args.sketch and (len(args.hosts) != 1 or args.map):
        args.parser.error('--sketch is a map of one model: give one --for, and'
                          ' no --map')
