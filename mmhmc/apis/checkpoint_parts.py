"""Loading checkpoints that hold only a part of a model."""
from collections.abc import Callable
from pathlib import Path

from mmengine.model import BaseTTAModel, is_model_wrapper
from torch import nn

from mmhmc.checkpoints import read_checkpoint
from mmhmc.models import CodecModel, ImageCoding
from mmhmc.part_weights import (lacks_weights, load_part, load_pretrained,
                                pretrained, weights_of, whole_part)


def load_all(model: nn.Module, state: dict, name: str | Path,
             is_apart: Callable[[str], bool]) -> list[str]:
    """Load a model, but for parts that are loaded apart.

    Returns:
        Keys of ``state`` that the model does not have.

    Raises:
        ValueError: If weights are missing, or of another shape.
    """
    try:
        missing, unexpected = model.load_state_dict(state, strict=False)
    except RuntimeError as error:
        first = str(error).splitlines()[1:2] or [str(error)]
        raise ValueError(f'{name} does not fit the config: '
                         f'{first[0].strip()}') from error
    had = set(model.state_dict()) - set(missing)
    missing = [key for key in lacks_weights(model, had) if not is_apart(key)]
    if missing:
        raise ValueError(
            f'{name} does not fit the config: it lacks {len(missing)} '
            f'tensors, first {missing[0]}. Use the config that it was trained '
            'with.')
    return unexpected


def complete_model(model: nn.Module,
                   checkpoint: str | Path,
                   host: str | None = None) -> None:
    """Load the parts of a model that a checkpoint lacks and its config names.

    That is the codec (``codec.init_cfg``) for a bare host, and the host
    (``load_from``) for a codec with its adaptation, which may have other
    names in the checkpoint than in the model. For models whose weights
    somebody else loads, and not strictly: a runner that tests would leave the
    rest random.

    Args:
        model: With codecs, or without.
        checkpoint: What will be loaded.
        host: File or address of the host's weights.

    Raises:
        OSError: If a file cannot be read.
        ValueError: If none of them has weights of the codec, of the adapter
            that is used, or of the host.
    """
    model = _unwrapped(model)
    if any(isinstance(m, ImageCoding) for m in model.modules()):
        state = weights_of(read_checkpoint(checkpoint), checkpoint)
        _, rest = complete_codecs(model, state, checkpoint)
        complete_host(model, rest, checkpoint, host)


def check_start(model: nn.Module, checkpoint: str | Path) -> None:
    """Refuse to begin a training with a codec that would not be taken.

    A host's checkpoint needs no codec: the codec has its own ``init_cfg``, or
    learns from the beginning. But one that has the codec, and elsewhere than
    the model, would be loaded without it, and without a word.

    Args:
        model: With codecs, or without.
        checkpoint: ``load_from``.

    Raises:
        OSError: If it cannot be read.
        ValueError: With what it holds.
    """
    model = _unwrapped(model)
    parts = [(prefix, part) for prefix, part, coder in _parts(model)
             if part.state_dict() and not isinstance(coder, CodecModel)]
    state = weights_of(read_checkpoint(checkpoint), checkpoint) if parts \
        else {}
    for prefix, part in parts:
        place = whole_part(part, state)
        if place is not None and not _begins(state, prefix):
            raise ValueError(
                f'{checkpoint} holds a {type(part).__name__} at {place!r}, and'
                f' this model has it at {prefix!r}: `load_from` would leave it'
                f' random. Give it as `model.{prefix}init_cfg.checkpoint`, '
                "with `init_cfg.type='Pretrained'`.")


def _unwrapped(model: nn.Module) -> nn.Module:
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    return model


def _parts(model: nn.Module) -> list[tuple[str, nn.Module, ImageCoding]]:
    """Codecs and adapters, each with its prefix and what holds it."""
    return [(f'{prefix}.{name}.'.removeprefix('.'), part, coder)
            for prefix, coder in model.named_modules()
            if isinstance(coder, ImageCoding) for name in ('codec', 'adapter')
            if (part := getattr(coder, name)) is not None]


def _begins(state: dict, prefix: str) -> bool:
    return any(key.removeprefix('module.').startswith(prefix) for key in state)


def complete_codecs(model: nn.Module, state: dict,
                    name: str | Path) -> tuple[tuple[str, ...], dict]:
    """Load codecs and adapters that are apart.

    Returns:
        Prefixes of what it has loaded, and the weights that are left.

    Raises:
        OSError: If a file cannot be read.
        ValueError: If there is a part for which nothing has weights.
    """
    apart = []
    for prefix, part, coder in _parts(model):
        unused = part is coder.adapter and not coder.uses_adapter
        if not unused and part.state_dict() and not _begins(state, prefix):
            state = _load_apart(part, state, name, prefix)
            apart.append(prefix)
    return tuple(apart), state


def _load_apart(part: nn.Module, state: dict, name: str | Path,
                prefix: str) -> dict:
    """Load a part from another place of a checkpoint, or its ``init_cfg``.

    Returns:
        The weights that are left.
    """
    place = whole_part(part, state)
    if place is not None:
        load_part(part, state, name, place, others=True)
        return {
            key: value
            for key, value in state.items() if not key.startswith(place)
        }
    init = pretrained(getattr(part, 'init_cfg', None))
    if init is None or not init.get('checkpoint'):
        kind = prefix.split('.')[-2]
        raise ValueError(
            f'{name} holds no weights of the {kind}, and the config names none'
            f' (`{kind}.init_cfg`): a random {kind} would code. Give a '
            'checkpoint of the trained model.')
    load_pretrained(part, init)
    return state


def complete_host(model: nn.Module, state: dict, name: str | Path,
                  host: str | None) -> bool:
    """Load a host that is apart.

    Args:
        model: With a host.
        state: Weights of a checkpoint, without what has been loaded.
        name: Of the checkpoint.
        host: File or address of the host's weights, if there is one.

    Returns:
        Whether it was apart.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If there is none, or it does not fit.
    """
    if any(is_of_host(key.removeprefix('module.'), model) for key in state) \
            or not any(is_of_host(key, model) for key in model.state_dict()):
        return False
    if host is None or str(host) == str(name):
        raise ValueError(
            f'{name} holds weights of a codec only, and the config names none'
            ' of the host (`load_from`): a random host would predict. Give a '
            'checkpoint of the trained model.')
    load_all(model, weights_of(read_checkpoint(host), host), host,
             lambda key: not is_of_host(key, model))
    return True


def is_of_host(key: str, model: nn.Module) -> bool:
    """Whether a weight is neither the codec's nor the adapter's.

    A codec alone has no host, but perhaps a discriminator, for training.
    """
    return not isinstance(model, CodecModel) and not key.startswith(
        tuple(f'{prefix}.{part}.'.removeprefix('.')
              for prefix, module in model.named_modules()
              if isinstance(module, ImageCoding)
              for part in ('codec', 'adapter')))
