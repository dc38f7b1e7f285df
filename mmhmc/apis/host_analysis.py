"""Predictions of a host from decoded images, or from latents.

.. code-block:: none

    before the pipeline:  x_hat ─► adapter ─► host's pipeline ─► host
    in the model:         the host's input of a black image + x_bar ─► host
    latents:              the host's input of a black image, and y_hat where
                          its backbone would be

The decoder has no original, so the host's canvas (resize, padding, meta
information) is that of a black image of the original's size.
"""
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import TRANSFORMS, DefaultScope
from mmengine.structures import BaseDataElement
from numpy import ndarray
from torch import Tensor, nn

from mmhmc.engine.host_batches import image_size
from mmhmc.engine.padding_steps import pads_resized_images
from mmhmc.functional import crop_to, padded_size
from mmhmc.models import ImageCoding, LatentBackbone, LatentFeatures
from mmhmc.registry import type_name
from .inference_inputs import EncodedImage, Size, to_bgr
from .mixing import host_of
from .sample_data import innermost_datasets

#: At the image's own resolution, through a file, before the host's
#: pipeline; or in front of the host's backbone, behind its pipeline.
PROTOCOLS = ('before the pipeline', 'in the model')


@dataclass
class DecodedImage:
    """What people and a host get from one bitstream.

    Args:
        encoded: The bitstream, and the image that it is of.
        y_hat: The latent that the host sees, shape (1, M, h, w).
        x_hat: Decoded, RGB in [0, 1], shape (1, 3, *size), for people; None
            if nobody asked for it.
        x_bar: The same behind the adapter, for a host; None for a host that
            sees latents.
        sample: What the host predicted; None before, or without a host.
    """

    encoded: EncodedImage
    y_hat: Tensor
    x_hat: Tensor | None = None
    x_bar: Tensor | None = None
    sample: BaseDataElement | None = None

    @property
    def size(self) -> Size:
        """Height and width in pixels that were encoded."""
        return self.encoded.bitstream.size


class HostAnalysis:
    """Runs a host on decoded images or latents.

    Args:
        model: Host with a codec, in evaluation mode.
        coder: The module of it that codes.
        cfg: Its config.
        device: Where it is.
        in_model: Whether images are coded after the host's pipeline.

    Raises:
        ValueError: If the config has no test pipeline, or one that reads
            other images than colour ones.
    """

    def __init__(self, model: nn.Module, coder: ImageCoding, cfg: Config,
                 device: torch.device, in_model: bool) -> None:
        self.model, self.coder = model, coder
        self.device, self.in_model = device, in_model
        self.sees_latents = isinstance(coder, LatentBackbone)
        self._scope = host_of(cfg)
        with DefaultScope.overwrite_default_scope(self._scope):
            self._pipeline, self._dtype = _pipeline_of(cfg)
        self._padded = pads_resized_images(self._pipeline)

    def image_to_code(self, x: Tensor) -> Tensor:
        """Image as the host's pipeline makes it, for coding in the model.

        Args:
            x: RGB in [0, 1], shape (3, H, W).

        Returns:
            RGB in [0, 1], shape (1, 3, h, w), without the host's padding.
        """
        data = self._batch([self._item(to_bgr(x), 'image')])
        size = self._size(data, 0)
        seen = self.coder.input_norm.to_image(data['inputs'])
        return crop_to(seen, size).clamp(0, 1)

    def inputs_of(self, pixels: ndarray) -> tuple[Tensor, Tensor]:
        """What the host's pipeline makes of an image, and what a model sees.

        Args:
            pixels: BGR, uint8, shape (H, W, 3).

        Returns:
            Shape (C, h, w), and normalised and padded (1, C, h', w').
        """
        item = self._item(pixels, 'image')
        return item['inputs'].float(), self._batch([item])['inputs']

    def prepare(self, image: DecodedImage) -> dict:
        """Item that the host's pipeline makes of one image.

        Raises:
            ValueError: If the coded image is not of the size that the
                pipeline gives.
        """
        name = image.encoded.name
        if not self.in_model and not self.sees_latents:
            return self._item(to_bgr(image.x_bar[0]), name)
        size = image.encoded.original_size if self.in_model else image.size
        item = self._item(np.zeros((*size, 3), np.uint8), name)
        if not self.in_model:
            # Latents cannot be resized: the host gets the image's own size.
            item['inputs'] = item['inputs'].new_zeros(3, *size)
            item['data_samples'].set_metainfo(
                dict(img_shape=size, ori_shape=size, scale_factor=(1., 1.)))
            return item
        found = image_size(item['data_samples'], self._padded)
        if found != image.size:
            raise ValueError(
                f'{name} was coded with size {image.size}, but the '
                f"host's pipeline makes {found} of an image of {size}. It "
                'was coded elsewhere, e.g. before the pipeline: give '
                "`protocol='before the pipeline'`.")
        return item

    @torch.no_grad()
    def predict(self, items: Sequence[dict],
                images: Sequence[DecodedImage]) -> list:
        """Predictions of a batch.

        Args:
            items: From :meth:`prepare`, with inputs of one size.
            images: Of each the image.

        Returns:
            The host's data samples, on the CPU.
        """
        with DefaultScope.overwrite_default_scope(self._scope):
            data = self._batch(items)
            if self.sees_latents:
                forward = self._latents(images)
            else:
                forward = self.coder.backbone.forward
                if self.in_model:
                    data['inputs'] = self._shown(data['inputs'], images)
            with _forwarding(self.coder, forward):
                samples = self.model(**data, mode='predict')
        return [sample.to('cpu') for sample in samples]

    @torch.no_grad()
    def predict_image(self, pixels: ndarray) -> BaseDataElement:
        """Prediction of the bare host from one image.

        Args:
            pixels: BGR, uint8, (H, W, 3).
        """
        item = self._item(np.ascontiguousarray(pixels), 'image')
        with DefaultScope.overwrite_default_scope(self._scope), \
                _forwarding(self.coder, self.coder.backbone.forward):
            sample, = self.model(**self._batch([item]), mode='predict')
        return sample.to('cpu')

    def _item(self, pixels: ndarray, name: str) -> dict:
        size = pixels.shape[:2]
        with DefaultScope.overwrite_default_scope(self._scope):
            return self._pipeline(
                dict(
                    img=pixels.astype(self._dtype),
                    img_path=name,
                    img_id=0,
                    sample_idx=0,
                    img_shape=size,
                    ori_shape=size))

    def _batch(self, items: Sequence[dict]) -> dict:
        # A preprocessor changes what it is given.
        items = [
            dict(item, data_samples=item['data_samples'].clone())
            for item in items
        ]
        return self.model.data_preprocessor(pseudo_collate(items), False)

    def _size(self, data: dict, index: int) -> Size:
        size = image_size(data['data_samples'][index], self._padded)
        return tuple(data['inputs'].shape[-2:]) if size is None else size

    def _shown(self, black: Tensor, images: Sequence[DecodedImage]) -> Tensor:
        x_bar = black.new_zeros(len(images), 3, *black.shape[-2:])
        for one, image in zip(x_bar, images):
            height, width = image.size
            one[:, :height, :width] = image.x_bar[0]
        return self.coder.input_norm.to_inputs(black, torch.zeros_like(x_bar),
                                               x_bar)

    def _latents(self, images: Sequence[DecodedImage]) -> Callable:
        """Stand-in for the backbone; outside an image the latent is zero."""

        def forward(inputs: Tensor) -> LatentFeatures:
            canvas = inputs.shape[-2], inputs.shape[-1]
            first, end = self.coder.seen_channels
            stride = padded_size(images[0].size,
                                 self.coder.codec.downsampling_factor
                                 )[0] // images[0].y_hat.shape[-2]
            seen = inputs.new_zeros(
                len(images), end - first,
                *(side // stride for side in padded_size(canvas, stride)))
            for one, image in zip(seen, images):
                h, w = (
                    side // stride for side in padded_size(image.size, stride))
                y_hat = image.y_hat[0, first:end]
                one[:, :h, :w] = crop_to(y_hat, (h, w))
            return LatentFeatures.over([seen], canvas)

        return forward


def _pipeline_of(cfg: Config) -> tuple[Compose, type]:
    """A host's test pipeline without what loads, and the type it takes."""
    loader = cfg.get('test_dataloader') or {}
    dataset = next(innermost_datasets(loader), {}) if loader else {}
    steps = dataset.get('pipeline')
    if not steps:
        raise ValueError('The config has no `test_dataloader.dataset.pipeline'
                         '`, which says how the host takes its images.')
    kept, dtype = [], np.uint8
    for step in steps:
        name = type_name(step)
        if name.startswith('LoadImage') and \
                step.get('color_type', 'color') != 'color':
            raise ValueError(
                f'The test pipeline reads images as {step["color_type"]!r};'
                ' a codec decodes colour images.')
        if name.startswith('LoadImage') and step.get('to_float32'):
            dtype = np.float32
        if not name.startswith('Load'):
            kept.append(step)
    return Compose([TRANSFORMS.build(step) for step in kept]), dtype


@contextmanager
def _forwarding(coder: nn.Module, forward: Callable) -> Iterator[None]:
    coder.forward = forward
    try:
        yield
    finally:
        del coder.forward
