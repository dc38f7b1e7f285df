"""Public names of former releases, which still work and warn.

The one place that knows them:

- :data:`TYPES`: what configs name, ``dict(type='mmhmc.NAME')``; our registries
  ask here for each type that they build;
- :data:`NAMES`: what code imports from a package, ``from PACKAGE import
  NAME``; the package takes its ``__getattr__`` from :func:`former_attribute`;
- :data:`CODEC_MEMBERS`: methods and attributes of codecs that other code calls
  or overrides;
- :func:`former_arguments` for keyword arguments, :func:`former_keys` for the
  keys of a dictionary, :func:`former_value` for the values of an option and
  :func:`former_property` for attributes of objects;
- :func:`current_config` for config files that have moved.
"""
import functools
import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

#: Types in configs, without scope: former name to today's.
TYPES = {
    'PictureStem': 'ImageStem',
    'UseDecodedPicture': 'UseDecodedImage',
}
#: Of each package: former name to today's, with its package if that is
#: another one, as ``'package.NAME'``.
NAMES = {
    'mmhmc': {
        'PictureStem': 'ImageStem'
    },
    'mmhmc.apis': {
        'EncodedPicture': 'EncodedImage',
        'encode_pictures': 'encode_images'
    },
    'mmhmc.apis.benchmark': {
        'PICTURE_METRICS': 'IMAGE_METRICS',
        'load_plan': 'read_plan'
    },
    'mmhmc.apis.zoo': {
        'load_config': 'mmhmc.apis.training.load_config'
    },
    'mmhmc.codecs.layers': {
        'AttentionBlock': 'TransformerBlock',
        'Derived': 'TensorCache'
    },
    'mmhmc.datasets': {
        'PICTURE_SUFFIXES': 'IMAGE_SUFFIXES',
        'WORN_PARTS': 'ACCESSORIES',
        'UseDecodedPicture': 'UseDecodedImage',
        'read_picture': 'read_image',
        'worn_parts': 'find_accessories',
        'write_picture': 'write_image',
        'write_whole': 'mmhmc.whole_files.write_whole'
    },
    'mmhmc.evaluation': {
        'PictureCurve': 'ImageCurve',
        'PicturePoint': 'RDPoint',
        'PictureScore': 'ImageScore'
    },
    'mmhmc.functional': {
        'InputNorm': 'mmhmc.input_norm.InputNorm',
        'picture_mse': 'image_mse'
    },
    'mmhmc.losses': {
        'match_features': 'feature_matching_loss',
        'shift_together': 'random_pad_crop_resize'
    },
    'mmhmc.models': {
        'PictureCoding': 'ImageCoding',
        'PictureStem': 'ImageStem'
    },
    'mmhmc.visualization': {
        'WorstPicture': 'WorstImage',
        'draw_picture_grid': 'draw_image_grid',
        'draw_task_pictures': 'draw_task_images',
        'worst_pictures': 'worst_images'
    },
}
#: Methods and attributes of codecs: former name to today's.
CODEC_MEMBERS = {
    'check_pictures': 'check_images',
    'code_latent': 'quantise_latent',
    'may_look_at': 'may_read_values',
    'notes_symbols': 'needs_symbols',
    'prior_layers': 'integer_layers',
    'prior_networks': 'entropy_networks',
    'run_prior': 'run_entropy_network',
}

Function = TypeVar('Function', bound=Callable)


def current_type(key: str) -> str:
    """Today's name of a registered type, with a warning for a former one."""
    scope, dot, name = key.rpartition('.')
    if name not in TYPES:
        return key
    _warn(f"`type='{name}'`", f"`type='{TYPES[name]}'`")
    return f'{scope}{dot}{TYPES[name]}'


def former_attribute(package: str) -> Callable[[str], Any]:
    """A ``__getattr__`` that gives a package its :data:`NAMES`."""

    def find(name: str) -> Any:
        today = NAMES[package].get(name)
        if today is None:
            raise AttributeError(
                f'module {package!r} has no attribute {name!r}')
        module, _, attribute = today.rpartition('.')
        module = module or package
        _warn(f'`{package}.{name}`', f'`{module}.{attribute}`')
        return getattr(import_module(module), attribute)

    return find


def renamed_member(owner: Any, name: str, today: Mapping[str, str]) -> Any:
    """A method or attribute by its former name, for ``__getattr__``."""
    _warn(f'`{type(owner).__name__}.{name}`', f'`{today[name]}`')
    return getattr(owner, today[name])


def rename_overrides(subclass: type, today: Mapping[str, str]) -> None:
    """Let a subclass override members by their former names.

    Args:
        subclass: The subclass, from ``__init_subclass__``.
        today: Former name to today's.
    """
    for former in today.keys() & vars(subclass).keys():
        _warn(f'`{subclass.__name__}.{former}`', f'`{today[former]}`')
        setattr(subclass, today[former], vars(subclass)[former])


def former_arguments(**today: str) -> Callable[[Function], Function]:
    """Let a function take keyword arguments by their former names.

    Args:
        today: ``former='name of today'``.

    Returns:
        Decorator. A call by both names raises ``TypeError``.
    """

    def decorate(function: Function) -> Function:

        @functools.wraps(function)
        def call(*args, **kwargs):
            return function(*args, **former_keys(kwargs, **today))

        return call

    return decorate


def former_keys(found: Mapping, **today: str) -> dict:
    """A dictionary by the keys of today.

    Args:
        found: Dictionary that may have former keys.
        today: ``former='key of today'``.

    Raises:
        TypeError: If one thing is there by its former key and by today's.
    """
    for former in today.keys() & found.keys():
        if today[former] in found:
            raise TypeError(f'`{former}` is called `{today[former]}` now: '
                            'give one of them.')
        _warn(f'`{former}`', f'`{today[former]}`')
    return {today.get(key, key): value for key, value in found.items()}


def former_value(option: str, value: Any, **today: Any) -> Any:
    """Today's value of an option that had others: ``former=today``."""
    if not isinstance(value, str) or value not in today:
        return value
    _warn(f'`{option}={value!r}`', f'`{option}={today[value]!r}`')
    return today[value]


def former_property(today: str) -> property:
    """A property of a former name, which gives the attribute ``today``."""

    def get(owner: Any) -> Any:
        _warn('This attribute', f'`{type(owner).__name__}.{today}`')
        return getattr(owner, today)

    return property(get)


def former_member(owner: Any, today: str, former: str) -> Any:
    """An attribute that a user's class may still have by a former name."""
    if hasattr(owner, today) or not hasattr(owner, former):
        return getattr(owner, today)
    name = type(owner).__name__
    _warn(f'`{name}.{former}`', f'`{name}.{today}`')
    return getattr(owner, former)


def current_config(path: Path) -> Path:
    """Today's place of a config that was in ``configs/hmc``.

    Args:
        path: File that may not be there.

    Returns:
        The only file of its name in the folders of the other methods, with a
        warning; ``path`` itself if it exists or there is no such file.
    """
    if path.parent.name != 'hmc' or path.exists():
        return path
    found = [
        readme.with_name(path.name)
        for readme in path.parent.parent.glob('*/README.md')
        if readme.with_name(path.name).is_file()
    ]
    if len(found) != 1:
        return path
    _warn(f'`configs/hmc/{path.name}`',
          f'`configs/{found[0].parent.name}/{path.name}`')
    return found[0]


def _warn(former: str, today: str) -> None:
    # FutureWarning: users see it, not only those who test.
    warnings.warn(
        f'{former} is called {today} now; the former name will go.',
        FutureWarning,
        stacklevel=3)
