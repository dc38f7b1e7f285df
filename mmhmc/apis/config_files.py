"""Config files and options, read with errors that name the mistake."""
import argparse
import copy
import re
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path

import yaml
from mmengine.config import Config, DictAction

from mmhmc.former_names import current_config
from mmhmc.zoo import find_compressai, is_compressai

#: Errors that a config, or mmengine reading one, may raise.
_ERRORS = (SyntaxError, NameError, AttributeError, LookupError, TypeError,
           ImportError, AssertionError, ArithmeticError, RuntimeError,
           ValueError, yaml.YAMLError)
_ENDINGS = ('.py', '.json', '.yaml', '.yml')
_CONFIGS = Path(__file__).parents[1] / '.mim/configs'


def read_config(source: str | Path | dict,
                options: dict | None = None) -> Config:
    """Read a config by its path, or out of an installed package.

    Args:
        source: File, or ``PACKAGE::FILE`` as in ``_base_``, e.g.
            ``mmdet::retinanet/retinanet_r18_fpn_1x_coco.py``; the package is
            looked for by the name of its module, so any distribution of it
            will do. ``compressai://NAME`` for the ``codec`` of weights that
            CompressAI publishes, see :func:`mmhmc.zoo.find_compressai`. Or a
            ``Config`` or dict, which is copied.
        options: Settings to override, by dotted name.

    Returns:
        The config, with its bases merged.

    Raises:
        FileNotFoundError: If there is no such file.
        OSError: If it, or one that it builds on, cannot be read.
        ModuleNotFoundError: If it builds on a package that is not installed.
        ValueError: If the file is no config, with the place of the mistake,
            or an option does not fit.
    """
    if isinstance(source, (Config, dict)):
        cfg = copy.deepcopy(source)
        cfg = cfg if isinstance(cfg, Config) else Config(cfg)
    elif is_compressai(source):
        cfg = Config(dict(codec=find_compressai(source).codec))
    else:
        package, separator, name = str(source).partition('::')
        cfg = _read_file(
            _file_of_package(source, package, name
                             ) if separator else Path(source))
    merge_options(cfg, options)
    return cfg


def _file_of_package(path: str, package: str, name: str) -> Path:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(
            f'{path} needs {package}, which is not installed. `mmhmc doctor` '
            'says how to get it.')
    folder = Path(spec.submodule_search_locations[0])
    # The second is that of a checkout, before it is installed.
    roots = [folder / '.mim/configs', folder.parent / 'configs']
    for root in roots:
        file = current_config(root / name)
        if file.is_file():
            return file
    known = [
        found.relative_to(root).as_posix() for root in roots
        for found in (root / name).parent.glob('*.py')
    ]
    near = get_close_matches(name, known, 3, 0.3)
    raise FileNotFoundError(f'{package} has no config {name!r}' + (
        f'; near it are {near}.' if near else f'; looked in {roots[0]}.'))


def _read_file(path: Path) -> Config:
    path = current_config(path)
    if not path.is_file():
        what = 'is a folder' if path.is_dir() else 'does not exist'
        raise FileNotFoundError(f'There is no config {str(path)!r}: it '
                                f'{what}.')
    if path.suffix not in _ENDINGS:
        raise ValueError(f'{path} is no config: it must end in one of '
                         f'{", ".join(_ENDINGS)}. Were config and checkpoint '
                         'exchanged?')
    try:
        return Config.fromfile(path)
    except ModuleNotFoundError:
        raise
    except _ERRORS as error:
        text = ' '.join(str(error).split())
        raise ValueError(f'{path} cannot be read as a config: '
                         f'{type(error).__name__}: {text}'
                         f'{_instead_of_lazy_base(text)}') from error


def _instead_of_lazy_base(text: str) -> str:
    """What to write where an error names a module of ``mmhmc.configs``."""
    module = re.search(r'\bmmhmc\.configs\.([\w.]+)', text)
    if module is None:
        return ''
    name = f'{module[1].replace(".", "/")}.py'
    near = [
        path.relative_to(_CONFIGS).as_posix()
        for path in _CONFIGS.rglob('*.py')
        if path.as_posix().replace('-', '_').endswith(f'/{name}')
    ]
    return ('. `mmhmc.configs` is gone: name our classes in a lazy config, or '
            f'build a text config on `mmhmc::{"".join(near) or name}`.')


def merge_options(cfg: Config, options: dict | None) -> None:
    """Set options in a config.

    Args:
        cfg: Changed in place.
        options: Values by dotted name.

    Raises:
        ValueError: If one does not fit.
    """
    try:
        # mmengine takes `_delete_` out of what it is given.
        cfg.merge_from_dict(copy.deepcopy(options or {}))
    except (TypeError, LookupError, AttributeError, AssertionError,
            ValueError) as error:
        text = ' '.join(str(error.args[0] if error.args else error).split())
        raise ValueError(f'The options {options} do not fit the config: '
                         f'{text}') from error


class OptionsAction(DictAction):
    """``--cfg-options KEY=VALUE``: a mistake ends as those of argparse do."""

    def __call__(self,
                 parser: argparse.ArgumentParser,
                 namespace: argparse.Namespace,
                 values: str | list,
                 option_string: str | None = None) -> None:
        """Read ``KEY=VALUE``, any number of them."""
        values = [values] if isinstance(values, str) else values
        for value in values:
            name, equals, text = value.partition('=')
            if not equals or not all(name.split('.')):
                parser.error(f'{option_string} takes KEY=VALUE, got {value!r}')
            if text[:1] in ('[', '(') and text[-1] not in '])':
                parser.error(f'{option_string} has brackets that do not close:'
                             f' {value!r}')
            try:
                super().__call__(parser, namespace, [value], option_string)
            except (ValueError, AssertionError, IndexError) as error:
                parser.error(f'{option_string} cannot read {value!r}: '
                             f'{error}')


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments that ``tools/train.py`` and ``tools/test.py`` share.

    Those of the hosts' tools, and what puts a codec into the config.
    """
    parser.add_argument(
        'config',
        help='config file, or one of a package: mmdet::retinanet/....py')
    parser.add_argument('--work-dir', help='where logs and results go')
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
