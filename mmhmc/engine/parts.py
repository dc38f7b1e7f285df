"""Finding codec, adapter and host in a model."""
from collections.abc import Iterable

from torch import nn

from mmhmc.models import ImageCoding

PARTS = ('codec', 'adapter', 'host')


def find_codec_wrappers(model: nn.Module) -> list[nn.Module]:
    """All modules of ``model`` that code images.

    There are several where a host keeps copies of its backbone, e.g. a mean
    teacher or a momentum encoder.

    Args:
        model: Unwrapped model, e.g. ``runner.model.module`` under DDP.

    Raises:
        ValueError: If there is none.
    """
    coders = [m for m in model.modules() if isinstance(m, ImageCoding)]
    if not coders:
        raise ValueError(
            f'{type(model).__name__} holds 0 codecs, expected one: give it a '
            'backbone of type mmhmc.CodecBackbone, or use mmhmc.CodecModel.')
    return coders


def find_codec_wrapper(model: nn.Module) -> nn.Module:
    """The one module of ``model`` that codes images.

    Args:
        model: Unwrapped model, e.g. ``runner.model.module`` under DDP.

    Raises:
        ValueError: If there is none, or more than one.
    """
    coders = find_codec_wrappers(model)
    if len(coders) > 1:
        raise ValueError(f'{type(model).__name__} holds {len(coders)} codecs, '
                         'expected one.')
    return coders[0]


def frames_of(samples: Iterable) -> list:
    """Data samples of single images; that of a video holds several."""
    return [
        frame for sample in samples
        for frame in getattr(sample, 'video_data_samples', [sample])
    ]


def split_parameters(model: nn.Module) -> dict[str, list[nn.Parameter]]:
    """All parameters of ``model`` by the part that they belong to.

    Returns:
        For ``'codec'``, ``'adapter'`` and ``'host'`` their parameters.
    """
    parts = {name: [] for name in PARTS}
    for coder in find_codec_wrappers(model):
        parts['codec'].extend(coder.codec.parameters())
        if coder.adapter is not None:
            parts['adapter'].extend(coder.adapter.parameters())
    taken = {id(p) for name in parts for p in parts[name]}
    parts['host'] = [p for p in model.parameters() if id(p) not in taken]
    return parts


def adapter_changes_nothing(coder: nn.Module) -> bool:
    """Whether there is an adapter that says it is still the identity."""
    return getattr(coder.adapter, 'changes_nothing', False)
