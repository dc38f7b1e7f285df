"""``mmhmc zoo`` and ``mmhmc config``: models and their configs."""
import argparse
from pathlib import Path

from .arguments import (Commands, add_command, add_mixing, add_output,
                        add_run_model, keep_existing, mixed_config)


def add_commands(commands: Commands) -> None:
    """Add the subcommands of this module."""
    parser = commands.add_parser(
        'zoo',
        help='list, show and get trained models',
        description='List, show and get the trained models of the zoo.')
    zoo = parser.add_subparsers(
        metavar='COMMAND', dest='zoo_command', required=True)
    _add_list(zoo)
    _add_show(zoo)
    _add_get(zoo)
    _add_config(commands)


def _add_list(commands: Commands) -> None:
    add_command(commands, _list, 'list all models, with results',
                'List all models of the zoo, with results.')


def _list(args: argparse.Namespace) -> int:
    from mmhmc.apis.zoo import show_models
    show_models()
    return 0


def _add_show(commands: Commands) -> None:
    parser = add_command(
        commands, _show, 'show all that is known of a model',
        'Show what a model is, how it was trained, what it reaches, and where '
        'its weights are.')
    parser.add_argument('name', metavar='NAME', help='see `mmhmc zoo list`')


def _show(args: argparse.Namespace) -> int:
    from mmhmc.apis.zoo import describe_model
    print(describe_model(args.name))
    return 0


def _add_get(commands: Commands) -> None:
    parser = add_command(
        commands,
        _get,
        'put the weights and the config of models into a folder',
        'Put the weights and the config of models into a folder. Nothing '
        'needs it: a command that is given a name gets the weights itself. A '
        'download that was cut off goes on where it ended, and what is not '
        'the file that the zoo names is refused. Exit status 0: all are '
        'there; 1: one is not.',
        stopped='The same command goes on from there.')
    parser.add_argument(
        'names', nargs='+', metavar='NAME', help='see `mmhmc zoo list`')
    add_output(parser, 'DIR', 'default: this folder', '--dest', default='.')
    parser.add_argument(
        '--base-url',
        metavar='URL',
        help='where the weights are, an address or a folder; default: '
        '$MMHMC_ZOO_URL, else model_zoo of a checkout')


def _get(args: argparse.Namespace) -> int:
    from mmhmc.apis.zoo import download_model
    for name in args.names:
        for path in download_model(
                name, args.output, args.base_url, force=args.force):
            print(path)
    return 0


def _add_config(commands: Commands) -> None:
    parser = add_command(
        commands, _config, 'print what a config becomes',
        'Print the config that `mmhmc train` would run: bases merged, the '
        'codec mixed in, options applied. The file that -o writes is a config '
        "for the hosts' own tools.")
    add_run_model(parser)
    add_output(parser, 'FILE.py', 'file to write; default: print it')
    add_mixing(parser)


def _config(args: argparse.Namespace) -> int:
    text = mixed_config(args).pretty_text
    if args.output is None:
        print(text)
        return 0
    from mmhmc.whole_files import write_whole
    keep_existing([args.output], args.force)
    Path(args.output).parent.mkdir(parents=True, exist_ok=True)
    write_whole(args.output, text.encode())
    print(args.output)
    return 0
