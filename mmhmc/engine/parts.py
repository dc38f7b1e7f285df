"""Finding codec, adapter and host in a model."""
from collections.abc import Iterable

from mmengine.model import is_model_wrapper
from torch import nn

from mmhmc.models import ImageCoding

PARTS = ('codec', 'adapter', 'host')


def unwrap(model: nn.Module) -> nn.Module:
    """The model itself, e.g. without the wrapper of DDP."""
    return model.module if is_model_wrapper(model) else model


def find_codec_wrappers(model: nn.Module) -> list[nn.Module]:
    """All codec wrappers of ``model``: its modules that encode images.

    There are several where a host keeps copies of its backbone, e.g. a mean
    teacher or a momentum encoder.

    Args:
        model: Unwrapped model, e.g. ``runner.model.module`` under DDP.

    Raises:
        ValueError: If there is none.
    """
    wrappers = [m for m in model.modules() if isinstance(m, ImageCoding)]
    if not wrappers:
        raise ValueError(
            f'{type(model).__name__} holds 0 codecs, expected one: give it a '
            'backbone of type mmhmc.CodecBackbone, or use mmhmc.CodecModel.')
    return wrappers


def find_codec_wrapper(model: nn.Module) -> nn.Module:
    """The one codec wrapper of ``model``, unwrapped.

    Raises:
        ValueError: If there is none, or more than one.
    """
    wrapper, *others = find_codec_wrappers(model)
    if others:
        raise ValueError(f'{type(model).__name__} holds {len(others) + 1} '
                         'codecs, expected one.')
    return wrapper


def frames_of(samples: Iterable) -> list:
    """Data samples of single images; the sample of a video holds several."""
    return [
        frame for sample in samples
        for frame in getattr(sample, 'video_data_samples', [sample])
    ]


def split_parameters(model: nn.Module) -> dict[str, list[nn.Parameter]]:
    """All parameters of ``model`` by part.

    Returns:
        For ``'codec'``, ``'adapter'`` and ``'host'`` their parameters.
    """
    parts = {name: [] for name in PARTS}
    for wrapper in find_codec_wrappers(model):
        parts['codec'].extend(wrapper.codec.parameters())
        if wrapper.adapter is not None:
            parts['adapter'].extend(wrapper.adapter.parameters())
    taken = {id(p) for name in parts for p in parts[name]}
    parts['host'] = [p for p in model.parameters() if id(p) not in taken]
    return parts


def encoder_parameters(model: nn.Module) -> list[nn.Parameter]:
    """Parameters of the codec that decide about symbols, and nothing else.

    See :attr:`mmhmc.codecs.ImageCodec.encoder_parts`.
    """
    return [
        parameter for wrapper in find_codec_wrappers(model)
        for name, parameter in wrapper.codec.named_parameters()
        if name.split('.')[0] in wrapper.codec.encoder_parts
    ]


def adapter_changes_nothing(wrapper: nn.Module) -> bool:
    """Whether there is an adapter that says it is still the identity."""
    return getattr(wrapper.adapter, 'changes_nothing', False)
