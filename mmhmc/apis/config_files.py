"""Config files and options, read with errors that name the mistake."""
import argparse
import copy
import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import yaml
from mmengine.config import Config, ConfigDict, DictAction

from mmhmc.former_names import current_config
from mmhmc.zoo import (config_path, find_compressai, find_configs, find_model,
                       is_compressai, list_models)
from mmhmc.zoo.compressai_zoo import COMPRESSAI
from mmhmc.zoo.index import ZOO

#: Errors that a config, or mmengine reading one, may raise.
_ERRORS = (SyntaxError, NameError, AttributeError, LookupError, TypeError,
           ImportError, AssertionError, ArithmeticError, RuntimeError,
           ValueError, yaml.YAMLError)
_ENDINGS = ('.py', '.json', '.yaml', '.yml')
#: Where a config has its codec; a leaf keeps the `codec` of its base beside
#: what it made of it.
_CODEC_PLACES = ('model.backbone.codec', 'model.codec', 'codec')
_CONFIGS = Path(__file__).parents[1] / '.mim/configs'


@dataclass(frozen=True)
class ConfigSource:
    """What stands behind a name, an address, a path or a dict.

    Args:
        config: File, or the settings themselves.
        name: Short, for folders and titles.
        options: Settings to override that come with it, by dotted name.
        checkpoint: Weights that come with it; None if there are none, or the
            config names them.
    """

    config: Path | Config | dict
    name: str
    options: dict = field(default_factory=dict)
    checkpoint: str | None = None

    @property
    def folder(self) -> Path:
        """Where files that a config names beside itself are."""
        file = self.config
        if not isinstance(file, Path):
            file = Path(getattr(file, 'filename', None) or '.')
        return file.parent


def locate(source: str | Path | dict) -> ConfigSource:
    """Find a config, and weights that come with it.

    This is the one place that knows what may stand for a config, in Python,
    in configs and on the command line:

    - the name of a model of the zoo, ``mean-scale-hyperprior_pictures_0.0035``
      or ``mmhmc://NAME``, with its weights;
    - the name of a config of this package, ``mask-rcnn_dynadapt_sample``;
    - ``compressai://ARCHITECTURE/METRIC/QUALITY``, a codec that CompressAI
      publishes, see :func:`mmhmc.zoo.find_compressai`;
    - ``PACKAGE::FILE`` as in ``_base_``, e.g.
      ``mmdet::retinanet/retinanet_r18_fpn_1x_coco.py``; the package is looked
      for by the name of its module, so any distribution of it will do;
    - a path;
    - a ``Config`` or dict.

    Nothing is read but lists of names.

    Args:
        source: One of these.

    Returns:
        What stands behind it.

    Raises:
        FileNotFoundError: If there is no such file.
        ModuleNotFoundError: If it is of a package that is not installed.
        ValueError: If there is no such name, with the nearest ones.
    """
    if isinstance(source, (Config, dict)):
        file = getattr(source, 'filename', None)
        return ConfigSource(source, Path(file).stem if file else 'config')
    text = str(source)
    if is_compressai(text):
        name = text.removeprefix(COMPRESSAI).replace('/', '_')
        return ConfigSource(dict(codec=find_compressai(text).codec), name)
    package, separator, name = text.partition('::')
    if separator:
        file = _file_of_package(text, package, name)
        return ConfigSource(file, file.stem)
    if not _is_path(text):
        return _by_name(text.removeprefix(ZOO))
    file = current_config(Path(text).expanduser())
    return ConfigSource(file, file.stem)


def read_config(source: str | Path | dict,
                options: dict | None = None) -> Config:
    """Read a config as it is written, with its bases merged.

    Args:
        source: See :func:`locate`; a ``Config`` or dict is copied.
        options: Settings to override, by dotted name.

    Returns:
        The config.

    Raises:
        FileNotFoundError: If there is no such file.
        OSError: If it, or one that it builds on, cannot be read.
        ModuleNotFoundError: If it builds on a package that is not installed.
        ValueError: If there is no such name, the file is no config, with the
            place of the mistake, or an option does not fit.
    """
    found = locate(source)
    cfg = read_located(found)
    merge_options(cfg, {**found.options, **(options or {})})
    return cfg


def read_located(found: ConfigSource) -> Config:
    """The config behind :func:`locate`, without its options."""
    if isinstance(found.config, Path):
        return _read_file(found.config)
    # A module that a config has imported is no setting, and has no copy.
    memo = {
        id(value): value
        for value in found.config.values() if isinstance(value, ModuleType)
    }
    cfg = copy.deepcopy(found.config, memo)
    return cfg if isinstance(cfg, Config) else Config(cfg)


def read_codec(source: str | Path | dict,
               options: dict | None = None) -> ConfigDict:
    """Settings of the codec in a config.

    Args:
        source: See :func:`locate`.
        options: Settings of the config to override, by dotted name.

    Returns:
        What :func:`find_codec` finds.

    Raises:
        OSError: If a file cannot be read.
        ValueError: If there is no codec, or the options do not fit.
    """
    codec = find_codec(read_config(source, options))
    if codec is None:
        raise ValueError(f'{shown_name(source)} has no codec; expected one of '
                         f'{", ".join(_CODEC_PLACES)}.')
    return codec


def find_codec(cfg: Config) -> ConfigDict | None:
    """The codec at ``model.backbone.codec``, ``model.codec`` or ``codec``.

    The first that is there counts; None if there is none.
    """
    for place in _CODEC_PLACES:
        node = cfg
        for name in place.split('.'):
            node = node.get(name) if isinstance(node, (Config, dict)) else None
        if isinstance(node, dict):
            return node
    return None


def shown_name(source: str | Path | dict) -> str:
    """A config in few words; its text would fill the screen."""
    if isinstance(source, (str, Path)):
        return str(source)
    return getattr(source, 'filename', None) or 'the config'


def _is_path(text: str) -> bool:
    """Whether a text is a path, and not a name of a model or a config."""
    if text.startswith(ZOO):
        return False
    path = Path(text).expanduser()
    return path.suffix in _ENDINGS or path.name != text or path.exists()


def _by_name(name: str) -> ConfigSource:
    """A model of the zoo, or a config of this package without weights."""
    model = list_models().get(name)
    if model is not None:
        return ConfigSource(
            config_path(model), name, model.options, f'{ZOO}{name}')
    files = find_configs(name)
    if len(files) > 1:
        raise ValueError(f'{name!r} are several configs: '
                         f'{", ".join(map(str, files))}. Give a path.')
    if files:
        return ConfigSource(files[0], name)
    # With the nearest names.
    find_model(name)
    raise AssertionError(name)


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
