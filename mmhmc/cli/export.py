"""``mmhmc export``: weights of others become ours, ours go to others."""
import argparse
from pathlib import Path

from .arguments import (Commands, add_cfg_options, add_command, add_output,
                        add_path, cfg_options, complain, keep_existing)

_CODECS = ('mpa', 'tinylic')


def add_commands(commands: Commands) -> None:
    """Add the subcommands of this module."""
    parser = commands.add_parser(
        'export',
        help='make weights fit for the zoo, or from those of other code',
        description='Make weights fit to be given away, or make ours from '
        'what other code has saved.')
    kinds = parser.add_subparsers(metavar='KIND', dest='kind', required=True)
    _add_publish(kinds)
    _add_compressai(kinds)
    _add_authors(kinds)
    _add_host(kinds)
    _add_merge(kinds)


def _add_publish(commands: Commands) -> None:
    parser = add_command(
        commands, _publish, 'make a trained checkpoint fit to be given away',
        'Keep the weights of a checkpoint (optimizer, logs and averages go) '
        'in a file that cannot hold code, and print its row for a metafile of '
        "the model zoo, with size and SHA-256; replace each '?' and commit "
        'the file to model_zoo/. With --config the codec is tried, and gets '
        'the entropy tables if it lacks them. A file that needs its code to '
        'be run is refused, unless --trust says that it is yours.')
    _add_files(parser)
    parser.add_argument(
        '--config', metavar='NAME|CONFIG', help='config of the model')
    add_cfg_options(parser)
    _add_parts(parser)
    parser.add_argument(
        '--but',
        type=_parts,
        default=[],
        metavar='PART,PART',
        help='layers that --eight-bits leaves in float16')
    parser.add_argument(
        '--based-on',
        metavar='NAME',
        help='model of the zoo whose codec has weights in common with this '
        'one, as the decoder of an encoder that was trained alone: they are '
        'left out, and read from there')
    smaller = parser.add_mutually_exclusive_group()
    smaller.add_argument(
        '--half',
        metavar='EFFECT',
        help='store weights as float16; EFFECT is what that costs, measured, '
        "as '-0.01 dB on Kodak', and goes into the row")
    smaller.add_argument(
        '--eight-bits',
        metavar='EFFECT',
        help='store large weights in 8 bits, and the others as --half does')
    _add_trust(parser)


def _publish(args: argparse.Namespace) -> int:
    if args.but and not args.eight_bits:
        args.parser.error('--but needs --eight-bits')
    for name in ('half', 'eight_bits'):
        effect = getattr(args, name)
        if effect is not None and not effect.strip():
            args.parser.error(f'--{name.replace("_", "-")} needs its measured '
                              'effect')
    out = _checked_output(args)
    import yaml

    from mmhmc.apis.publishing import (MAX_BYTES, in_eight_bits, in_half,
                                       only_weights, publish_weights,
                                       without_base)
    checkpoint = _read(args)
    weights = only_weights(checkpoint, args.only)
    costs, based_on = {}, None
    if args.based_on:
        weights, based_on = without_base(weights, args.based_on)
    if args.half:
        weights, costs['Half precision'] = in_half(weights), args.half
    if args.eight_bits:
        weights = in_eight_bits(weights, args.but)
        costs['Eight bits'] = args.eight_bits
    row = publish_weights(weights, out, args.config, cfg_options(args),
                          _dataset_meta(checkpoint), based_on)
    row['Metadata'].update(costs)
    print(yaml.safe_dump([row], sort_keys=False, allow_unicode=True), end='')
    if row['Size'] > MAX_BYTES:
        complain(
            args, f'{out} has {row["Size"] / 1e6:.1f} MB, more than the '
            f'{MAX_BYTES / 1e6:.0f} that a repository should hold. Keep '
            'what is needed by --only, or think of --half and --eight-bits.')
    return 0


def _add_compressai(commands: Commands) -> None:
    parser = add_command(
        commands, _compressai, 'make a codec of a checkpoint of CompressAI',
        "Make a codec of what CompressAI's training examples save, or of a "
        'file of its model zoo, of any version. The codec and its sizes are '
        'found from the weights, and a config is written beside them; or '
        '--codec names a config with the same sizes. Entropy tables are kept, '
        'or made of the quantiles. The result is not kept unless it encodes '
        'an image to the same bytes.')
    _add_files(parser)
    parser.add_argument(
        '--codec', metavar='NAME|CONFIG', help='config of the codec')
    add_cfg_options(parser)


def _compressai(args: argparse.Namespace) -> int:
    out = _checked_output(args, not args.codec)
    if args.cfg_options and not args.codec:
        args.parser.error('--cfg-options change the config of --codec')
    from mmhmc.apis.compressai_weights import export_compressai_weights
    from mmhmc.apis.config_files import read_codec
    codec = read_codec(args.codec, cfg_options(args)) if args.codec else None
    files = export_compressai_weights(args.checkpoint, out, codec)
    print(f'{", ".join(map(str, files))}: codes as {args.checkpoint}')
    return 0


def _add_authors(commands: Commands) -> None:
    parser = add_command(
        commands, _authors, 'make a codec of a checkpoint of MPA or TinyLIC',
        'Make a codec of what the code of the authors of MPA or TinyLIC '
        'saves: OUT.safetensors gets its weights, OUT.py its config, for '
        '`mmhmc encode --model OUT.py`.')
    _add_files(parser)
    parser.add_argument(
        '--from',
        required=True,
        choices=_CODECS,
        dest='method',
        help='whose code has saved it')


def _authors(args: argparse.Namespace) -> int:
    out = _checked_output(args, True)
    from mmhmc.apis.authors_weights import (TINYLIC_WARNING,
                                            export_authors_weights)
    for file in export_authors_weights(args.checkpoint, out, args.method):
        print(file)
    if args.method == 'tinylic':
        complain(args, TINYLIC_WARNING)
    return 0


def _add_host(commands: Commands) -> None:
    parser = add_command(
        commands, _host, "take the weights out of a host's checkpoint",
        'Take the weights out of a checkpoint of mmdet, mmseg or mmpretrain, '
        'old or new, or of any torch model: a file, or an address such as '
        'torchvision://resnet18. Optimizer, logs and running averages go. '
        "`load_from` takes a host's checkpoint as it is; --rename is for the "
        "rest: backbone.=backbone.backbone. puts a detector's backbone behind "
        'a codec, and =backbone.backbone. does so for weights of a backbone '
        'alone.')
    _add_files(parser)
    _add_parts(parser)
    parser.add_argument(
        '--rename', metavar='OLD=NEW', help='beginning of names, and its new')
    _add_trust(parser)


def _host(args: argparse.Namespace) -> int:
    out = _checked_output(args)
    rename = None
    if args.rename is not None:
        old, equals, new = args.rename.partition('=')
        if not equals or old == new:
            args.parser.error(f'--rename must be OLD=NEW, got {args.rename}')
        rename = old, new
    from mmhmc.apis.publishing import only_weights
    from mmhmc.checkpoints import write_safetensors
    checkpoint = _read(args)
    write_safetensors(
        only_weights(checkpoint, args.only, rename), out,
        _dataset_meta(checkpoint))
    return 0


def _add_merge(commands: Commands) -> None:
    parser = add_command(
        commands, _merge, 'put tasks that were trained apart into one MPA',
        'Put tasks that were trained apart into one MPA checkpoint. The '
        'checkpoint is what they were trained from. Of each FILE only the '
        'path of its task is taken; all else in its codec must be as in the '
        'checkpoint, entropy tables aside, for a path fits no other codec. '
        'NAME/OTHER=FILE takes the path of OTHER and calls it NAME: so a task '
        'with few images can begin as one with more.')
    _add_files(parser, 'OUT.safetensors|OUT.pth')
    parser.add_argument(
        '--task',
        action='append',
        required=True,
        metavar='NAME[/OTHER]=FILE',
        help='a task and its checkpoint; may be given several times')


def _merge(args: argparse.Namespace) -> int:
    out = _checked_output(args, endings=('.pth', '.safetensors'))
    pairs = [pair.partition('=') for pair in args.task]
    if not all(name and file for name, _, file in pairs):
        args.parser.error('`--task` must be NAME=FILE or NAME/OTHER=FILE, got '
                          f'{args.task}')
    tasks = {name: file for name, _, file in pairs}
    if len(tasks) < len(pairs):
        args.parser.error('`--task` names one task twice')
    from mmhmc.apis.mpa_merging import merge_tasks
    merge_tasks(args.checkpoint, out, tasks)
    return 0


def _add_files(parser: argparse.ArgumentParser,
               metavar: str = 'OUT.safetensors') -> None:
    """A checkpoint, and the file to write, as an option or behind it."""
    add_path(
        parser,
        'checkpoint',
        metavar='FILE',
        help='checkpoint: a file or an address')
    add_path(parser, 'out', metavar='OUT', help='the same as -o', nargs='?')
    add_output(parser, metavar, 'file for the weights')


def _add_parts(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--only',
        type=_parts,
        default=[],
        metavar='PART,PART',
        help='keep these parts only, as backbone.codec,backbone.adapter')


def _add_trust(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--trust',
        action='store_true',
        help='run the code in the checkpoint: only for a file that you know')


def _checked_output(
    args: argparse.Namespace,
    with_config: bool = False,
    endings: tuple[str, ...] = ('.safetensors', )
) -> Path:
    """The file to write, given once, of the right kind, and not there yet."""
    if (args.out is None) == (args.output is None):
        args.parser.error('give the file to write once: -o FILE')
    out = Path(args.output or args.out)
    if out.suffix not in endings:
        args.parser.error(f'the file to write must end in '
                          f'{" or ".join(endings)}, got {out}')
    beside = [out.with_suffix('.py')] if with_config else []
    keep_existing([out, *beside], args.force)
    return out


def _read(args: argparse.Namespace) -> dict:
    from mmhmc.checkpoints import read_checkpoint, read_trusted_checkpoint
    read = read_trusted_checkpoint if args.trust else read_checkpoint
    return read(args.checkpoint)


def _dataset_meta(checkpoint: dict) -> dict | None:
    meta = getattr(checkpoint.get('meta'), 'get', lambda key: None)
    return meta('dataset_meta')


def _parts(text: str) -> list[str]:
    return text.split(',')
