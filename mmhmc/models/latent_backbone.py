"""A codec's latent as a host's features."""
from collections.abc import Iterable

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmhmc.codecs import ImageCodec, build_codec
from mmhmc.former_names import former_keys
from mmhmc.functional import crop_to, padded_size, valid_mask
from mmhmc.functional.rate import fills
from mmhmc.input_norm import InputNorm
from mmhmc.registry import MODELS
from mmhmc.structures import CodedBatch, Condition
from .condition_choice import ConditionChoice
from .image_coding import (ImageCoding, Size, check_layer_count,
                           complete_test_cfg)


class LatentFeatures(tuple):
    """A tuple of feature maps, as hosts pass it on, that knows its canvas.

    Latents of stride 16 alone do not say how many rows of stride 4 there
    are.
    """

    #: Height and width in pixels that the maps cover; None if unknown.
    canvas: Size | None = None

    @classmethod
    def over(cls, maps: Iterable[Tensor], canvas: Size) -> 'LatentFeatures':
        """Maps that cover a canvas of the given height and width."""
        features = cls(maps)
        features.canvas = canvas
        return features


@MODELS.register_module()
class LatentBackbone(ImageCoding, BaseModule):
    """Codec in place of a host's backbone: its heads see the latent.

    .. code-block:: none

        inputs ─► undo host normalisation ─► x ─► g_a ─► y ─► bits ─► y_hat
                                                                       │
        features ◄─────────────────────────────────────────────────────┤
                         x_hat ◄── g_s, only if somebody asks ◄────────┘

    No image is decoded for the machine. A ``CompressedDomainNeck`` turns
    the latent into what the host's heads expect. As in a ``CodecBackbone``,
    training encodes the batch at once with noise for quantisation, and
    evaluation encodes each image alone; outside an image (batch padding) the
    latent is zero.

    In training x_hat is decoded, with gradients, if ``RateLossHook`` has a
    ``lmbda_distortion``. If it has none, ``g_s``, which only decodes images,
    gets no gradient: freeze the codec, or set ``find_unused_parameters=True``
    for DDP. In evaluation ``test_cfg['image']`` decides alone; without it,
    metrics of image quality raise.

    Reference: Torfason et al., see :class:`CompressedDomainNeck`.

    Args:
        codec: Codec, or its config; trained weights come by its own
            ``init_cfg=dict(type='Pretrained', checkpoint=...)``.
        input_norm: The host's data preprocessor config, from which mean,
            std and channel order are read; or ``mean``, ``std`` and
            ``channel_order``; or an :class:`InputNorm`.
        test_cfg: ``real_bits``: True decodes the latents from a real
            bitstream, False only estimates bits, default True;
            ``image``: whether evaluation decodes x_hat, for metrics, default
            False; ``refinement``: see :class:`CodecBackbone`.
        condition: See :class:`ConditionChoice`.
        train_condition: See :class:`ConditionChoice`.
        seen_channels: How many channels of the latent heads see, from the
            first, or the first one and the one after the last; all if left
            out. ``semantic_channels`` of a codec with layers shows its base
            layer alone, which is the same with and without the others.
        machine_layers: See :class:`CodecBackbone`.
        init_cfg: mmengine's initialisation.

    Raises:
        TypeError: If a part is of the wrong kind.
        ValueError: If a name is unknown, or the codec has no latent, or not
            so many channels of it.
    """

    adapter: nn.Module | None = None

    def __init__(self,
                 codec: ImageCodec | dict,
                 input_norm: InputNorm | dict,
                 test_cfg: dict | None = None,
                 condition: dict | None = None,
                 train_condition: dict | None = None,
                 seen_channels: int | tuple[int, int] | None = None,
                 machine_layers: int | None = None,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.choose_condition = ConditionChoice(condition, train_condition)
        self.input_norm = InputNorm.from_preprocessor(input_norm)
        self.codec = build_codec(codec)
        if getattr(self.codec, 'latent_channels', None) is None:
            raise ValueError(
                f'{type(self.codec).__name__} has no latent for a host to '
                'see; use a codec with `latent_channels`, or '
                'mmhmc.CodecBackbone.')
        self.seen_channels = self._range_of(seen_channels)
        self.machine_layers = check_layer_count(machine_layers, self.codec)
        self.test_cfg = complete_test_cfg(
            former_keys(test_cfg or {}, picture='image'),
            dict(real_bits=True, image=False))

    def _range_of(
            self,
            seen_channels: int | tuple[int, int] | None) -> tuple[int, int]:
        """First channel that is seen, and the one after the last."""
        channels = self.codec.latent_channels
        if seen_channels is None:
            return 0, channels
        if isinstance(seen_channels, int):
            seen_channels = 0, seen_channels
        first, end = seen_channels
        if not 0 <= first < end <= channels:
            raise ValueError(
                '`seen_channels` must be from 1 to '
                f'{channels}, the channels of the latent of '
                f'{type(self.codec).__name__}, or a range of them; got '
                f'{seen_channels}.')
        return first, end

    @property
    def out_channels(self) -> int:
        """Number of channels that are seen."""
        return self.seen_channels[1] - self.seen_channels[0]

    def forward(self, inputs: Tensor) -> LatentFeatures:
        """Encode images.

        Args:
            inputs: Images as the host normalises and pads them, shape
                (B, 3, H, W), or (B, 1, H, W) for grey ones.

        Returns:
            One map: ``y_hat``, float32, shape (B, M, ceil(H / s),
            ceil(W / s)), where s, mostly 16, is the stride of the latent, and
            M the number of channels that are seen, ``out_channels``.

        Raises:
            RuntimeError: If a bitstream does not decode to its latents.
            ValueError: If the images are not finite, or sizes do not fit.
        """
        with torch.autocast(inputs.device.type, enabled=False):
            x = self.input_norm.to_image(inputs)
        coded = self.code_images(x, inputs)
        canvas = inputs.shape[-2], inputs.shape[-1]
        first, end = self.seen_channels
        seen = coded.x_bar[:, first:end]
        return LatentFeatures.over([seen], canvas)

    def _code_batch(self, x: Tensor, sizes: list[Size],
                    condition: Condition) -> CodedBatch:
        output, bits, target = self._encode_batch(x, sizes, condition)
        y_hat, seen = output.y_hat, self._seen_of(output)
        if not fills(sizes, target):
            seen = seen * valid_mask(sizes, target, y_hat.shape[-2:],
                                     y_hat.device)
        stride = target[0] // y_hat.shape[-2]
        seen = crop_to(seen, _latent_size(x.shape[-2:], stride))
        return CodedBatch(
            x,
            None,
            seen,
            sizes,
            bits, [None] * len(x),
            y_hat,
            condition,
            rest_bits=self._rest_bits(output, sizes, target))

    @torch.no_grad()
    def _code_each(self, x: Tensor, sizes: list[Size],
                   condition: Condition) -> CodedBatch:
        # As for a CodecBackbone, so that both write the same bytes.
        x = x.clamp(0, 1)
        latents, seen_latents, bits, streams = zip(
            *(self._code_latent(one[None], size, condition)
              for one, size in zip(x, sizes)))
        target = padded_size(sizes[0], self.codec.downsampling_factor)
        stride = target[0] // latents[0].shape[-2]
        seen = x.new_zeros(
            len(x), latents[0].shape[1],
            *_latent_size(tuple(x.shape[-2:]), stride))
        for one, y_hat, size in zip(seen, seen_latents, sizes):
            h, w = _latent_size(size, stride)
            one[:, :h, :w] = crop_to(y_hat[0], (h, w))
        x_hat = self._decode_each(x, latents, sizes, condition) \
            if self.test_cfg['image'] else None
        return self._written(x, x_hat, seen, sizes, bits, streams, condition)

    def _decode_each(self, x: Tensor, latents: Iterable[Tensor],
                     sizes: list[Size], condition: Condition) -> Tensor:
        x_hat = x.clone()
        for one, y_hat, (h, w) in zip(x_hat, latents, sizes):
            decoded = self.codec.decode_latents(y_hat, condition)[0]
            one[:, :h, :w] = crop_to(decoded, (h, w)).clamp(0, 1)
        return x_hat


def _latent_size(size: Size, stride: int) -> Size:
    """Rows and columns of a latent that touch an image of ``size``."""
    height, width = padded_size(size, stride)
    return height // stride, width // stride
