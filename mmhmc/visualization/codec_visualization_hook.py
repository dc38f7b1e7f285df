"""Images of each coding step, sent to mmengine's visualizer."""
from collections.abc import Iterator, Sequence

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from numpy import ndarray
from torch import Tensor, nn

from mmhmc.codecs import MPA
from mmhmc.codecs.streams import as_stored
from mmhmc.engine.parts import find_codec_wrappers, frames_of, unwrap
from mmhmc.former_names import former_arguments
from mmhmc.functional import crop_to, extend_edges, padded_size, to_pixels
from mmhmc.models.image_coding import latent_of
from mmhmc.registry import HOOKS
from .bits_map import bits_map
from .coding_images import draw_bits, draw_error
from .path_masks import tint_side_path


@HOOKS.register_module()
class CodecVisualizationHook(Hook):
    """Shows each n-th image of validation and test beside its decoded one.

    Images go to ``runner.visualizer`` and so to each of its backends: files
    (``LocalVisBackend``), TensorBoard, Weights & Biases. Those of image 3
    are called ``codec_3_original``, and likewise

    - ``decoded``: x_hat, for people;
    - ``adapted``: x_bar, for the machine, if there is an adapter;
    - ``bits``: where the bits went, if the codec's latent has places;
    - ``error``: of the decoded image, 8 times as large;
    - ``paths_g_a.1`` ...: for ``MPA``, by stage, which positions take the
      side path, in orange.

    Their step is the training iteration in validation, and 0 in test. Each
    such image is coded once more. ``RateLossHook``, which says what was
    coded, is needed; only the first process draws, from its share. Rates,
    PSNR and losses are scalars that mmengine's ``LoggerHook`` sends to the
    same backends, without this hook.

    Args:
        interval: Every so many images are shown, beginning with the first;
            at least 1.
        max_images: At most so many in one validation or test; at least 1.

    Raises:
        ValueError: If a number is less than 1.
    """

    priority = 'LOW'

    @former_arguments(max_pictures='max_images')
    def __init__(self, interval: int = 50, max_images: int = 8) -> None:
        for name, value in (('interval', interval), ('max_images',
                                                     max_images)):
            if value < 1:
                raise ValueError(f'`{name}` must be 1 or more, got {value}.')
        self.interval, self.max_images = interval, max_images
        self._seen = 0

    def _before_epoch(self, runner, mode: str = 'train') -> None:
        self._seen = 0

    def _after_iter(self,
                    runner,
                    batch_idx: int,
                    data_batch: dict | None = None,
                    outputs: Sequence | None = None,
                    mode: str = 'train') -> None:
        if mode != 'train':
            step = runner.iter if mode == 'val' else 0
            self._show(runner, outputs or (), step)

    def _show(self, runner, outputs: Sequence, step: int) -> None:
        for sample in frames_of(outputs):
            number, self._seen = self._seen, self._seen + 1
            chosen = number % self.interval == 0 and \
                number // self.interval < self.max_images
            if not chosen or not is_main_process():
                continue
            x = _coded(sample)
            if x is None:
                continue
            wrapper = find_codec_wrappers(unwrap(runner.model))[0]
            for name, image in draw_coding(wrapper, x):
                runner.visualizer.add_image(f'codec_{number}_{name}', image,
                                            step)


@torch.no_grad()
def draw_coding(coder: nn.Module, x: Tensor) -> Iterator[tuple[str, ndarray]]:
    """Encode and decode an image, and draw both.

    Args:
        coder: A ``CodecBackbone``, ``LatentBackbone`` or ``CodecModel`` in
            evaluation mode.
        x: RGB in [0, 1], shape (3, H, W).

    Yields:
        Names, as of :class:`CodecVisualizationHook`, and images: RGB,
        uint8, shape (H, W, 3).
    """
    codec = coder.codec
    condition = as_stored(coder.choose_condition(False))
    size = x.shape[-2], x.shape[-1]
    target = padded_size(size, codec.downsampling_factor)
    padded = extend_edges(x[None].clamp(0, 1), [size], target)
    output = codec.encode_latents(padded, condition)
    x_hat = codec.decode_latents(output.y_hat, condition)
    original, decoded = (
        to_pixels(crop_to(p[0], size)) for p in (padded, x_hat))
    yield 'original', original
    yield 'decoded', decoded
    if coder.uses_adapter:
        seen = latent_of(output, coder.machine_layers)
        if seen is not output.y_hat:
            x_hat = codec.decode_latents(seen, condition)
        x_bar = coder.adapt(seen, x_hat, condition)
        yield 'adapted', to_pixels(crop_to(x_bar[0], size))
    if output.likelihoods:
        bits = bits_map(output.likelihoods, target).numpy()
        if bits.size > 1:
            yield 'bits', draw_bits(bits, size, target)
    yield 'error', draw_error(original, decoded)
    if isinstance(codec, MPA):
        for stage, mask in codec.path_masks(padded, condition).items():
            yield f'paths_{stage}', tint_side_path(original,
                                                   mask[0].cpu().numpy(),
                                                   target)


def _coded(sample) -> Tensor | None:
    """Image that was coded, RGB, shape (3, H, W); None if not known."""
    coding = sample.metainfo.get('coding')
    if 'coding' in sample.metainfo and coding is None:
        return None
    if coding is None or coding.x is None:
        raise ValueError(
            'A data sample says nothing about its coding; add '
            "dict(type='mmhmc.RateLossHook', ...) to `custom_hooks`.")
    return coding.x
