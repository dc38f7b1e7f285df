"""Whether a host's pipeline resizes images once and pads them last."""
from collections.abc import Iterator, Sequence
from typing import Any

#: Packages whose transforms are known by their names.
_PACKAGES = ('mmcv', 'mmdet', 'mmhmc', 'mmpretrain', 'mmseg')
#: Transforms that move no pixel; in any package, loading and packing neither.
_STILL = ('FilterAnnotations', 'Normalize', 'PhotoMetricDistortion')
_ENDS = ('Load', 'Pack')
_RESIZES = ('RandomChoiceResize', 'RandomResize', 'Resize')


def pads_resized_images(dataset: Any) -> bool:
    """Whether a data set's images are resized once and then padded.

    Then the size of an image is ``ori_shape`` times ``scale_factor``, and it
    lies in the top left corner of its canvas. After any other order of
    transforms, or an unknown one, samples do not say where the image is: two
    resizes leave the same meta information as a resize and a pad.

    Args:
        dataset: Data set, which may wrap others, or its pipeline.
    """
    chains = list(_chains(dataset))
    return bool(chains) and all(map(_is_resized_then_padded, chains))


def _chains(part: Any) -> Iterator[list]:
    """Every sequence of transforms that a sample may go through."""
    inner = getattr(part, 'datasets', None) or \
        [one for one in [getattr(part, 'dataset', None)] if one is not None]
    pipeline = getattr(part, 'pipeline', part)
    # Data sets that mix images have a list of transforms.
    steps = pipeline if isinstance(pipeline, list) else \
        getattr(pipeline, 'transforms', [])
    own = list(_views(steps)) if steps else []
    if not inner:
        yield from own
    for one in inner:
        for first in _chains(one):
            for then in own or [[]]:
                yield [*first, *then]


def _views(steps: Sequence) -> Iterator[list]:
    """The transforms; with test-time augmentation those of each view."""
    for place, step in enumerate(steps):
        if type(step).__name__ == 'TestTimeAug':
            for view in step.subroutines:
                yield from _views(
                    [*steps[:place], *view.transforms, *steps[place + 1:]])
            return
    yield list(steps)


def _is_resized_then_padded(steps: Sequence) -> bool:
    names = [_name(step) for step in steps]
    moving = [
        name for name in names
        if name not in _STILL and not name.startswith(_ENDS)
    ]
    while moving and moving[-1] == 'Pad':
        moving.pop()
    # A flip keeps the image in its place.
    moving = [name for name in moving if name != 'RandomFlip']
    return len(moving) == 1 and moving[0] in _RESIZES


def _name(step: Any) -> str:
    """Class name of a transform; '?' for unknown ones."""
    kind = type(step)
    inner = getattr(step, 'resize', None)
    known = kind.__module__.split('.')[0] in _PACKAGES and (
        inner is None or type(inner).__name__ == 'Resize')
    return kind.__name__ if known or kind.__name__.startswith(_ENDS) else '?'
