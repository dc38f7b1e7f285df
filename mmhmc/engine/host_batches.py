"""The images of a host's forward: which they are, and their real sizes."""
from __future__ import annotations
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mmengine.logging import print_log
from torch import Tensor, nn

from .padding_steps import pads_resized_images
from .parts import frames_of

Size = tuple[int, int]


@dataclass
class HostCall:
    """Arguments of a host's forward.

    Args:
        args: Positional ones.
        kwargs: Named ones.
    """

    args: tuple
    kwargs: dict

    @property
    def _name(self) -> str | None:
        """Name of the inputs, if they have one; multi-modal hosts' is
        ``images``."""
        return next((n for n in ('inputs', 'images') if n in self.kwargs),
                    None)

    @property
    def inputs(self) -> Any:
        """Images; None if there are none."""
        if self._name:
            return self.kwargs[self._name]
        return next(iter(self.args), None)

    @property
    def samples(self) -> Any:
        """Data samples; None if there are none."""
        return self._find(1, 'data_samples')

    @property
    def mode(self) -> str | None:
        """``'loss'``, ``'predict'``, ``'tensor'`` or None."""
        return self._find(2, 'mode')

    def _find(self, position: int, name: str) -> Any:
        if name in self.kwargs:
            return self.kwargs[name]
        return self.args[position] if len(self.args) > position else None

    def with_inputs(self, inputs: Any) -> tuple[tuple, dict]:
        """Arguments of the same call with other images."""
        if self._name:
            return self.args, {**self.kwargs, self._name: inputs}
        return (inputs, *self.args[1:]), self.kwargs


class LogOnce:
    """Logs each line the first time only."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def __call__(self, line: str) -> None:
        """Log a line, unless it has been logged."""
        if line not in self._said:
            self._said.add(line)
            print_log(line, logger='current')


class SizeFinder:
    """Finds the real sizes of images on a host's padded canvas.

    Batch padding is known by ``img_shape`` of the data samples, if that is
    the size that the image had when it left the pipeline. Padding by the
    pipeline of validation or test is known if the pipeline resizes once and
    pads last. Where nothing is known the whole canvas counts as image.

    Args:
        log: Says what is not known.
    """

    def __init__(self, log: LogOnce) -> None:
        self._log = log
        self._pipeline_pads, self._shapes_hold = False, True

    def read_pipeline(self, loop: Any) -> None:
        """Read what the pipeline of a validation or test loop does."""
        loader = getattr(loop, 'dataloader', None)
        self._pipeline_pads = pads_resized_images(
            getattr(loader, 'dataset', None))

    def check_shapes(self, preprocessor: nn.Module, args: tuple) -> None:
        """Check ``img_shape`` against images that are not yet padded.

        Args:
            preprocessor: Data preprocessor of a host; this is a forward
                pre-hook of it.
            args: Its arguments.
        """
        data = args[0] if args and isinstance(args[0], dict) else {}
        self._shapes_hold = all(
            image_size(sample) in (None, tuple(image.shape[-2:]))
            for images, samples in images_with_samples(
                data.get('inputs'), data.get('data_samples'))
            for image, sample in zip(images, samples))

    def find(self, call: HostCall,
             training: bool) -> list[tuple[Tensor, list[Size]]]:
        """Batches of a forward whose sizes are known, with the sizes."""
        batches = [
            (batch, self._sizes(batch, frames, training))
            for batch, frames in images_with_samples(call.inputs, call.samples)
            if isinstance(batch, Tensor)
        ]
        return [(batch, sizes) for batch, sizes in batches
                if sizes is not None]

    def _sizes(self, inputs: Tensor, samples: Sequence,
               training: bool) -> list[Size] | None:
        """Sizes of the images of a batch; None if they are not known."""
        padded = self._pipeline_pads and not training
        sizes = [image_size(s, padded) for s in samples]
        if not self._shapes_hold or any(
                size is None or size[0] > inputs.shape[-2]
                or size[1] > inputs.shape[-1] for size in sizes):
            self._log('`img_shape` of the data samples is missing, or is not '
                      'the size of the images: all that the model sees is '
                      'coded and counts, padding of the batch too.')
            return None
        if not padded and not training and any(
                image_size(sample, True) != size
                for sample, size in zip(samples, sizes)):
            self._log('The test pipeline does more than one resize with '
                      'padding last, or is not known: all that it gives is '
                      'coded and counts, what it may have padded too.')
        return sizes


def image_size(sample: Any, padded: bool = False) -> Size | None:
    """Height and width of the real image on a host's canvas.

    Args:
        sample: Data sample of a host.
        padded: Whether the pipeline resized the image once and then padded
            it, see :func:`mmhmc.engine.padding_steps.pads_resized_images`.
            Otherwise its padding counts as image.

    Returns:
        None if the sample does not say.
    """
    size = getattr(sample, 'metainfo', {}).get('img_shape')
    if size is None:
        return None
    size = tuple(size[:2])
    scale = sample.metainfo.get('scale_factor')
    original = sample.metainfo.get('ori_shape')
    if not padded or scale is None or original is None:
        return size
    return (min(size[0], round(original[0] * float(scale[1]))),
            min(size[1], round(original[1] * float(scale[0]))))


def images_with_samples(
        inputs: Any, samples: Any) -> Iterator[tuple[Sequence[Tensor], list]]:
    """Images among a host's inputs, and the data sample of each.

    Where several images come with one sample, e.g. crops of it, nothing says
    which one the sample describes, and they are left out.

    Args:
        inputs: Images (B, C, H, W), videos (B, T, C, H, W), before the data
            preprocessor a list of (C, H, W) or of (T, C, H, W); or a list of
            views or a dictionary of branches of them.
        samples: Data samples; for branches a dictionary of them.

    Yields:
        A batch (B, C, H, W), or a list of (C, H, W), and the samples.
    """
    if isinstance(inputs, dict):
        for name, branch in inputs.items():
            if isinstance(samples, dict):
                yield from images_with_samples(branch, samples.get(name))
        return
    if not isinstance(samples, (list, tuple)):
        return
    frames = frames_of(samples)
    if _is_list_of_views(inputs, are_videos=len(frames) > len(samples)):
        for view in inputs:
            yield from images_with_samples(view, samples)
        return
    images = _single_images(inputs)
    if images is not None and len(images) == len(frames):
        yield images, frames


def _is_list_of_views(inputs: Any, are_videos: bool) -> bool:
    """Whether each entry of a list holds a whole batch."""
    return isinstance(inputs, (list, tuple)) and not all(
        isinstance(one, Tensor) and (are_videos or one.ndim == 3)
        for one in inputs)


def _single_images(inputs: Any) -> Sequence[Tensor] | None:
    """Images one by one, frames of a video too; None if it holds others."""
    if isinstance(inputs, Tensor) and inputs.ndim >= 4:
        return inputs.flatten(0, -4)
    if isinstance(inputs, (list, tuple)):
        return [
            image for one in inputs
            for image in ([one] if one.ndim == 3 else one.flatten(0, -4))
        ]
    return None
