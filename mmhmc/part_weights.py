"""Weights of a codec or an adapter from a checkpoint: all of them or none.

mmengine loads the weights that fit and keeps random numbers for the rest. A
codec with some random weights encodes, and decodes garbage. So a
:class:`WholeModule` takes all of its weights, or an error says what the
checkpoint holds instead.
"""
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmhmc.checkpoints import read_checkpoint, use_for_mmengine
from mmhmc.registry import is_pretrained
from mmhmc.zoo import find_compressai, is_compressai

#: Buffers of a codec that can be computed from its weights.
TABLES = ('_quantized_cdf', '_offset', '_cdf_length', 'scale_table')
_MADE_ANEW = (*TABLES, 'num_batches_tracked')
#: Usual prefixes of a codec or an adapter, the first choice first.
_USUAL = ('backbone.codec.', 'codec.', 'backbone.adapter.', 'adapter.', '')


class WholeModule(BaseModule):
    """A module that takes all of its weights from a checkpoint, or none.

    ``init_cfg=dict(type='Pretrained', ...)`` needs no ``prefix`` if only one
    prefix in the checkpoint fits. A checkpoint of a whole model, as
    ``load_from`` loads it, may have no weights of this module: then it does
    not change.

    Args:
        init_cfg: mmengine's initialisation.
    """

    _is_asked_for = False

    def __init__(self, init_cfg: dict | list | None = None) -> None:
        super().__init__(init_cfg)
        # A lazy config names classes and asks no registry.
        use_for_mmengine()

    def init_weights(self) -> None:
        """Initialise as ``init_cfg`` says.

        Raises:
            OSError: If a checkpoint cannot be read.
            ValueError: If it does not hold all weights, or none is named.
        """
        init = pretrained(self.init_cfg)
        if init is None or self.is_init or not self.state_dict():
            super().init_weights()
            return
        load_pretrained(self, init)
        self.is_init = True

    def load_state_dict(self, state_dict, *args, **kwargs):
        """torch's own, with its own errors for weights that do not fit."""
        self._is_asked_for = True
        try:
            return super().load_state_dict(state_dict, *args, **kwargs)
        finally:
            self._is_asked_for = False

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        if not self._is_asked_for:
            _refuse_some(self, state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args)


def pretrained(init_cfg: dict | list | None) -> dict | None:
    """The ``Pretrained`` of an ``init_cfg``, if it has one.

    Raises:
        ValueError: If an entry is no dict, or a checkpoint has no ``type``.
    """
    entries = init_cfg if isinstance(init_cfg, (list, tuple)) else [init_cfg]
    for entry in entries:
        if not entry:
            continue
        if not isinstance(entry, dict) or 'type' not in entry:
            raise ValueError("`init_cfg` must be like dict(type='Pretrained', "
                             f'checkpoint=FILE), got {entry!r}.')
        if is_pretrained(entry):
            return entry
    return None


def load_pretrained(module: nn.Module,
                    init: dict,
                    others: bool = False) -> None:
    """Load the checkpoint of a ``Pretrained``.

    Args:
        module: Module that takes all of its weights.
        init: With ``checkpoint``, and ``prefix`` unless it can be found.
        others: See :func:`load_part`.

    Raises:
        OSError: If the checkpoint cannot be read.
        ValueError: If it does not fit, or none is named.
    """
    name = init.get('checkpoint')
    if not name:
        raise ValueError(
            f'`init_cfg` of {type(module).__name__} is Pretrained and names no'
            ' `checkpoint`. Give its file, or `init_cfg=None` if the weights '
            'come from elsewhere.')
    # CompressAI's hold a codec alone, whatever the config's own have before.
    prefix = None if is_compressai(name) else init.get('prefix')
    load_part(module, weights_of(read_checkpoint(name), name), name, prefix,
              others)


def weights_of(checkpoint: dict, name: str | Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name.

    Raises:
        ValueError: If it holds none, or something else among them.
    """
    state = checkpoint.get('state_dict', checkpoint)
    if not isinstance(state, dict) or not state or not all(
            isinstance(value, Tensor) for value in state.values()):
        raise ValueError(f'{name} holds no weights; expected tensors by name, '
                         'or `state_dict` with them.')
    return state


def find_part(module: nn.Module, state: dict[str, Tensor]) -> str | None:
    """Prefix of a module's weights among those of a model.

    Args:
        module: The part.
        state: Weights of a model that may hold it, or of the part alone.

    Returns:
        The prefix under which most of its weights are; None if none are.

    Raises:
        ValueError: If several prefixes fit equally well, and none is usual.
    """
    own, hits = set(module.state_dict()), Counter()
    for key in state:
        starts = [0, *(i + 1 for i, c in enumerate(key) if c == '.')]
        hits.update(key[:i] for i in starts if key[i:] in own)
    if not hits:
        return None
    most = max(hits.values())
    places = [place for place, count in hits.items() if count == most]
    # A codec's g_s has the keys of a machine's own, and other parts beside it.
    beside = {
        place: sum(key.startswith(place) for key in state) - most
        for place in places
    }
    places = [one for one in places if beside[one] == min(beside.values())]
    for place in (*_USUAL, *places * (len(places) == 1)):
        if place in places:
            return place
    raise ValueError(
        f'The weights of a {type(module).__name__} are in {len(places)} places'
        f': {_few(sorted(places))}. Say which by `prefix`.')


def whole_part(module: nn.Module, state: dict[str, Tensor]) -> str | None:
    """Prefix of a module's weights; None unless all of them are there.

    Args:
        module: The part.
        state: See :func:`find_part`.
    """
    place = find_part(module, state)
    if place is None or lacks_weights(
            module, [key.removeprefix(place) for key in state]):
        return None
    return place


def load_part(module: nn.Module,
              state: dict[str, Tensor],
              name: str | Path,
              prefix: str | None = None,
              others: bool = False) -> None:
    """Load all weights of a module; entropy tables may be missing.

    Args:
        module: The part.
        state: Weights of a model that holds it, or of the part alone.
        name: Where they come from, for errors.
        prefix: Prefix of its weights; None finds it.
        others: Whether other weights are allowed.

    Raises:
        ValueError: If they do not fit; it says what is there instead.
    """
    found = find_part(module, state) or '' if prefix is None else prefix
    if found and not found.endswith('.'):
        found += '.'
    own = {
        key[len(found):]: value
        for key, value in state.items() if key.startswith(found)
    }
    what = _described(module)
    if not own:
        raise ValueError(
            f'{name} has no weights that begin with {found!r}, as `prefix` '
            f'says; it has {_few(_beginnings(state))}. Leave `prefix` out and '
            'it is found, if the file holds the weights.')
    try:
        missing, unexpected = module.load_state_dict(own, strict=False)
    except RuntimeError as error:
        # A headline, then one line for each tensor.
        first = str(error).splitlines()[1:2] or [str(error)]
        raise ValueError(f'{name} does not fit {what}: '
                         f'{first[0].strip()}{_published_as(name)}') from error
    missing = _needed(missing)
    if missing or (unexpected and not others):
        raise ValueError(
            f'{name} does not fit {what}: missing {_few(missing)}; '
            f'not expected {_few([] if others else unexpected)}. Give the '
            f'checkpoint of the same config.{_published_as(name)}')


def lacks_weights(module: nn.Module, keys: Iterable[str]) -> list[str]:
    """Names of a module's weights that are not among some keys."""
    keys = set(keys)
    return _needed(key for key in module.state_dict() if key not in keys)


def _refuse_some(module: nn.Module, state: dict, prefix: str) -> None:
    """Refuse a checkpoint with some weights of a module."""
    given = {
        key[len(prefix):]: value
        for key, value in state.items() if key.startswith(prefix)
    }
    own = module.state_dict()
    if not given or not own:
        return
    missing = lacks_weights(module, given)
    # Tables grow and shrink with the weights.
    wrong = [
        key for key in _needed(own) if key in given
        and getattr(given[key], 'shape', None) != own[key].shape
    ]
    parts = {key.split('.')[0] for key in own}
    foreign = [key for key in given if key.split('.')[0] not in parts]
    if not (missing or wrong or foreign):
        return
    found = [f'lacks {_few(missing)}'] * bool(missing)
    if wrong:
        found.append(f'has {wrong[0]} of shape {tuple(given[wrong[0]].shape)},'
                     f' expected {tuple(own[wrong[0]].shape)}')
    found += [f'has {_few(foreign)}, of another one'] * bool(foreign)
    raise ValueError(
        f'The checkpoint does not fit {_described(module)}'
        f'{f" at {prefix!r}" if prefix else ""}: it {"; it ".join(found)}. '
        'The rest would stay random: give the checkpoint of the same config.')


def _needed(keys: Iterable[str]) -> list[str]:
    """Names of weights, without buffers that are computed from them."""
    return [key for key in keys if key.rpartition('.')[2] not in _MADE_ANEW]


def _published_as(name: str | Path) -> str:
    """What CompressAI's weights are of, as the end of an error."""
    if not is_compressai(name):
        return ''
    weights = find_compressai(name)
    widths = ', '.join(f'{k}={v}' for k, v in weights.channels.items())
    return f' CompressAI has them for {weights.architecture}, {widths}.'


def _described(module: nn.Module) -> str:
    return f'the {type(module).__name__} of the config'


def _beginnings(state: dict) -> list[str]:
    return list(dict.fromkeys(f'{key.split(".")[0]}.' for key in state))


def _few(names: list[str]) -> str:
    """The first three names; all of them would fill the screen."""
    if not names:
        return 'nothing'
    more = f' and {len(names) - 3} more' if len(names) > 3 else ''
    return ', '.join(names[:3]) + more
