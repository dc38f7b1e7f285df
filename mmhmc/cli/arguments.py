"""Arguments that several subcommands have, and what they stand for."""
import argparse
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

Commands = argparse._SubParsersAction


def add_command(commands: Commands,
                run: Callable[[argparse.Namespace], int],
                help: str,
                description: str,
                name: str = '',
                stopped: str = 'Nothing half-written is left.',
                long: bool = False) -> argparse.ArgumentParser:
    """Add a subcommand.

    Args:
        commands: Where to add it.
        run: Runs it and returns the exit status. It may raise what
            :data:`mmhmc.apis.command.EXPECTED` lists; that becomes a line.
        help: What it does, for the list of all: a verb, no capital, no point.
        description: The same in sentences.
        name: Its name; by default that of ``run`` without ``_``.
        stopped: What is said when it is interrupted.
        long: See :func:`mmhmc.apis.command.is_told`.
    """
    parser = commands.add_parser(
        name or run.__name__[1:],
        help=help,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter
        if '\n' in description else argparse.HelpFormatter)
    parser.set_defaults(run=run, parser=parser, stopped=stopped, long=long)
    return parser


def add_path(parser: argparse._ActionsContainer, *names: str, metavar: str,
             help: str, **more) -> None:
    """Add an argument that is a path."""
    parser.add_argument(*names, type=_path, metavar=metavar, help=help, **more)


def add_output(parser: argparse.ArgumentParser,
               metavar: str,
               help: str,
               *former: str,
               force: bool = True,
               **more) -> None:
    """Add ``-o``, ``--output``, and ``--force`` for what is there already.

    ``--out`` is short for it.

    Args:
        parser: Of the subcommand.
        metavar: What it is, such as DIR.
        help: The same in words.
        former: Other names of the option.
        force: Whether there is a ``--force``.
        **more: For ``add_argument``.
    """
    add_path(
        parser, '-o', '--output', *former, metavar=metavar, help=help, **more)
    if force:
        parser.add_argument(
            '--force', action='store_true', help='replace what exists')


def add_model(parser: argparse.ArgumentParser, former: str = '') -> None:
    """Add ``--model``, ``--checkpoint`` and ``--cfg-options``.

    Args:
        parser: Of the subcommand.
        former: Former name of ``--model``.
    """
    group = parser.add_mutually_exclusive_group(required=True)
    _add_model(group)
    if former:
        group.add_argument(
            former, action=_Former, dest='model', help=argparse.SUPPRESS)
    add_checkpoint(parser)
    add_cfg_options(parser)


def add_run_model(parser: argparse.ArgumentParser) -> None:
    """Add a model as the hosts' tools take it, and ``--model``."""
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument(
        'config',
        nargs='?',
        help='name of a model or a config, a config file, or one of a '
        'package: mmdet::retinanet/....py')
    _add_model(group, 'the same as an option')
    add_cfg_options(parser)


def _add_model(
    group: argparse._ActionsContainer,
    help: str = 'name of a model (see `mmhmc zoo list`), config file, '
    'PACKAGE::CONFIG, or compressai://ARCHITECTURE/METRIC/QUALITY'
) -> None:
    group.add_argument('--model', type=_path, metavar='NAME|CONFIG', help=help)


def add_checkpoint(parser: argparse.ArgumentParser) -> None:
    """Add ``--checkpoint``."""
    add_path(
        parser,
        '--checkpoint',
        metavar='FILE',
        help='weights: a file, an address, or the name of a model; default: '
        'those of the model, or that the config names')


def add_cfg_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--cfg-options``; :func:`cfg_options` reads them."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action='extend',
        default=[],
        metavar='KEY=VALUE',
        help='override settings of the config: key=value, key="[a,b]"')


def add_mixing(parser: argparse.ArgumentParser) -> None:
    """Add what is mixed into a host's config, and its rate."""
    parser.add_argument(
        '--codec',
        metavar='NAME|CONFIG',
        help='put this codec in front of the backbone: anything that --model '
        'takes, e.g. scale-hyperprior')
    parser.add_argument(
        '--adapter',
        metavar='NAME|CONFIG',
        help='and this adapter behind it: a config that defines `adapter`')
    parser.add_argument(
        '--sample-data',
        action='store_true',
        help='use the built-in images instead of the data of the config')
    parser.add_argument(
        '--lmbda',
        type=float,
        help='rate: weight of the distortion, e.g. 0.0018 0.0035 0.0067 0.013')


def add_launcher(parser: argparse.ArgumentParser) -> None:
    """Add what launchers of several processes give."""
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='what has started several processes')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add ``--device``."""
    parser.add_argument(
        '--device', help='cpu, cuda or cuda:N; default: a GPU if there is one')


def add_jobs(parser: argparse.ArgumentParser) -> None:
    """Add ``--jobs``."""
    parser.add_argument(
        '--jobs',
        type=positive,
        default=1,
        metavar='N',
        help='processes, with one thread each; default 1, with all threads')


def model_of(args: argparse.Namespace) -> str:
    """What was given as the model, by either name."""
    return args.model or args.config


def cfg_options(args: argparse.Namespace) -> dict:
    """Settings of ``--cfg-options``, by dotted name."""
    from mmhmc.apis.config_files import OptionsAction

    # mmengine would make `mmhmc --help` slow.
    parser = argparse.ArgumentParser(args.parser.prog)
    parser.add_argument('--cfg-options', nargs='*', action=OptionsAction)
    given = ['--cfg-options', *args.cfg_options]
    return parser.parse_args(given).cfg_options or {}


def mixed_config(args: argparse.Namespace, work_dir: str | None = None):
    """Config of a model with what was asked to be mixed in."""
    from mmhmc.apis.training import load_config
    return load_config(
        model_of(args),
        cfg_options(args),
        work_dir,
        args.lmbda,
        codec=args.codec,
        adapter=args.adapter,
        sample_data=args.sample_data)


def keep_existing(paths: Iterable[str | Path], force: bool) -> None:
    """Refuse to replace files, unless that is asked for.

    Raises:
        FileExistsError: If one is there.
    """
    for path in paths:
        if not force and Path(path).exists():
            raise FileExistsError(f'{path} exists. Move it away, or replace '
                                  'it with --force.')


def complain(args: argparse.Namespace, text: str) -> None:
    """Say something on stderr, in the name of the subcommand."""
    print(f'{args.parser.prog}: {text}', file=sys.stderr)


@contextmanager
def warnings_told(args: argparse.Namespace,
                  path: str | Path) -> Iterator[list[warnings.WarningMessage]]:
    """Say warnings about a file as :func:`complain` does, each in one line.

    Gives the list of what was said, which is full at the end.
    """
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter('always')
        yield noted
    for warning in noted:
        complain(args, f'{path}: {warning.message}')


class _Former(argparse.Action):
    """A former name of an option."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        print(
            f'{parser.prog}: `{option_string}` is called `--{self.dest}` now; '
            'the former name will go.',
            file=sys.stderr)
        setattr(namespace, self.dest, values)


def _path(text: str) -> str:
    if not text.strip():
        # An empty path would be this folder, with all that is in it.
        raise argparse.ArgumentTypeError('expected a path, got nothing')
    return text


def positive(text: str) -> int:
    """An integer of 1 or more.

    Raises:
        ArgumentTypeError: If it is none.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(
            f'expected an integer of 1 or more, got {text!r}')
    return int(text)
