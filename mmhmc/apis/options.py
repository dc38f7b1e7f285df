"""Options of a command line, for a host's config and for a mixed one.

.. code-block:: none

    host's config ─► options of the host ─► mix_codec ─► all others ─► mixed

Who writes an option for a host need not know where mixing puts things:
``model.backbone.frozen_stages`` and ``val_evaluator.ann_file`` reach what
they reach without a codec.
"""
from collections.abc import Iterator
from copy import deepcopy
from inspect import signature
from typing import Any

from mmengine.config import Config

from mmhmc.registry import HOOKS, type_name, type_scope
from .config_files import merge_options
from .mixing import CODEC_HOOKS, WRAPPERS, backbone_place

#: Settings of a wrapper that no host's backbone has.
_OWN = ('adapter', 'backbone', 'codec', 'condition', 'input_norm',
        'machine_layers', 'seen_channels', 'test_cfg', 'train_condition')
_EVALUATORS = ('val_evaluator', 'test_evaluator')


def split_options(cfg: Config, options: dict) -> tuple[dict, dict]:
    """Divide options into those of a host and those of its mixed config.

    Args:
        cfg: The host's config, not mixed yet.
        options: Values by dotted name.

    Returns:
        What is to be set before mixing, and what after it.
    """
    host, mixed = {}, {}
    for key, value in _flat(options):
        (mixed
         if _is_of_mixed(cfg, key.split('.'), value) else host)[key] = value
    return host, mixed


def set_options(cfg: Config, options: dict) -> None:
    """Set options in a config that may have a codec.

    Args:
        cfg: Changed in place.
        options: Values by dotted name; a name that a host would have is that
            of the host behind the codec.

    Raises:
        ValueError: If one does not fit.
    """
    merge_options(
        cfg, {
            '.'.join(_redirected(cfg, key.split('.'), value)): value
            for key, value in _flat(options)
        })


def _flat(options: dict, before: str = '') -> Iterator[tuple[str, Any]]:
    """Options without dictionaries in them; mmengine joins them again."""
    for key, value in options.items():
        if isinstance(value, dict) and value and '_delete_' not in value:
            yield from _flat(value, f'{before}{key}.')
        else:
            # mmengine takes `_delete_` out of what it is given.
            yield f'{before}{key}', deepcopy(value)


def _is_of_mixed(cfg: Config, names: list[str], value: Any) -> bool:
    """Whether an option only fits the config with the codec."""
    if names[0] == 'objective':
        return True
    if names[0] == 'custom_hooks' and len(names) > 2:
        return _is_of_mixed_hook(cfg.get('custom_hooks') or [], names)
    if names[:2] == ['optim_wrapper', 'paramwise_cfg'] and \
            names[2:3] in (['codec'], ['adapter'], ['constructor']):
        return True
    try:
        holder, place = backbone_place(cfg)
    except ValueError:
        # Mixing will say so.
        return False
    part = cfg
    for name, after in zip(names, [*names[1:], '']):
        if part is holder and str(place) == name and _is_own(after, value):
            return True
        if isinstance(part, (list, tuple)) or name.isdigit():
            # What mixing adds, or an evaluator that becomes a list.
            if not isinstance(part, (list, tuple)) or not name.isdigit() or \
                    int(name) >= len(part):
                return True
            part = part[int(name)]
        else:
            part = part.get(name) if isinstance(part, (dict, Config)) else None
            if part is None:
                return False
    return False


def _is_own(name: str, value: Any) -> bool:
    """Whether a setting of a backbone's place is that of the wrapper."""
    is_wrapper = name == 'type' and isinstance(value, (str, type)) and \
        type_name(dict(type=value)) in WRAPPERS
    return name in _OWN or is_wrapper


def _is_of_mixed_hook(hooks: list, names: list[str]) -> bool:
    """Which of the lists of hooks an option counts in."""
    number, name = names[1:3]
    if not number.isdigit() or int(number) >= len(hooks):
        return True
    number = int(number)
    if number < len(CODEC_HOOKS):
        hook = HOOKS.get(f'mmhmc.{CODEC_HOOKS[number]}')
        return name in signature(hook).parameters
    return name in hooks[number - len(CODEC_HOOKS)]


def _redirected(cfg: Config, names: list[str], value: Any) -> list[str]:
    """Names by which a mixed config has what an option of a host names."""
    found, part = [], cfg
    for name in names:
        if isinstance(part, (list, tuple)) and part and \
                names[0] in _EVALUATORS and \
                not name.isdigit():
            number = _metric_of_host(part, name)
            found.append(str(number))
            part = part[number]
        elif isinstance(part, dict) and \
                type_name(part) == 'CodecBackbone' and \
                (name == 'type' or name not in part) and \
                not _is_own(name, value):
            found.append('backbone')
            part = part['backbone']
        found.append(name)
        if isinstance(part, (list, tuple)):
            known = name.isdigit() and int(name) < len(part)
            part = part[int(name)] if known else None
        else:
            part = part.get(name) if isinstance(part, (dict, Config)) else None
    return found


def _metric_of_host(metrics: list, name: str) -> int:
    """Number of the host's metric that has a setting, or its first one."""
    hosts = [
        number for number, metric in enumerate(metrics)
        if isinstance(metric, dict) and type_scope(metric) != 'mmhmc'
    ]
    having = [number for number in hosts if name in metrics[number]]
    return next(iter([*having, *hosts]), 0)
