"""The contract that every codec keeps."""
import warnings
from abc import abstractmethod
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor

from mmhmc.bitstream import CdfTables, SymbolDecoder
from mmhmc.former_names import CODEC_MEMBERS, rename_overrides, renamed_member
from mmhmc.functional.devices import (estimating, is_estimating,
                                      reads_without_waiting)
from mmhmc.part_weights import WholeModule
from mmhmc.registry import MODELS
from mmhmc.structures import CodecOutput, Condition
from .layers import TensorCache
from .streams import StreamCoder, use_integers
from .transforms import TransformRunner


class ImageCodec(StreamCoder, TransformRunner, WholeModule):
    """Base class: image to latents to bits, and back.

    .. code-block:: none

        x ──► encode_latents ──► y_hat ─────────────► decode_latents ──► x_hat
                   │                                        ▲
                   ▼ symbols                                │ y_hat
               write ──► Bitstream ──► bytes ──► read ──────┘

    A codec implements :meth:`encode_latents`, :meth:`decode_latents`,
    :meth:`read_latents`, :meth:`entropy_tables` and
    :meth:`decoding_tensors`; the rest follows. In training mode quantisation
    is noise, or rounding that gradients pass; in evaluation mode it is
    rounding and everything is exact: what
    :meth:`read` returns equals ``y_hat`` of :meth:`encode_latents` to the
    last bit; if the codec is :attr:`portable`, on all machines and in any
    batch, otherwise on one machine and one image at a time.

    Args:
        init_cfg: mmengine's initialisation, e.g. ``dict(type='Pretrained',
            checkpoint=...)``, of the codec or of a model that holds it.
    """

    #: Both sides of a coded image are multiples of this.
    downsampling_factor: int = 1
    #: Whether images of a training batch may have qualities of their own.
    mixes_qualities: bool = False
    #: Parts, by name, that only the encoder has: they decide which symbols
    #: are written, and no other file or decoded image changes with them.
    encoder_parts: tuple[str, ...] = ('g_a', 'h_a')

    def __init__(self, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self._cache = TensorCache()

    def __init_subclass__(cls, **kwargs) -> None:
        super().__init_subclass__(**kwargs)
        rename_overrides(cls, CODEC_MEMBERS)

    def __getattr__(self, name: str) -> Any:
        if name in CODEC_MEMBERS:
            return renamed_member(self, name, CODEC_MEMBERS)
        return super().__getattr__(name)

    @abstractmethod
    def encode_latents(self,
                       x: Tensor,
                       condition: Condition = None,
                       with_likelihoods: bool = True) -> CodecOutput:
        """Image to quantised latents, without decoding an image.

        Args:
            x: RGB in [0, 1], shape (B, 3, H, W), H and W multiples of
                ``downsampling_factor``.
            condition: Run-time controls, for codecs that have any.
            with_likelihoods: False leaves them out; all else is the same.

        Returns:
            Output with ``y_hat`` and ``likelihoods``; for one image in
            evaluation mode also ``symbols``.
        """

    def estimate_latents(self,
                         x: Tensor,
                         condition: Condition = None) -> CodecOutput:
        """Quantised latents of a frozen codec, while other parts learn.

        As :meth:`encode_latents`, but in floating point and for a whole
        batch, without symbols, and without waiting for a GPU. A codec with a
        serial context approximates its latents in fewer steps.
        """
        with use_integers(False), estimating():
            return self.encode_latents(x, condition)

    @abstractmethod
    def decode_latents(self,
                       y_hat: Tensor,
                       condition: Condition = None) -> Tensor:
        """Quantised latents (B, M, h, w) to RGB (B, 3, H, W), not clamped."""

    def decode_with_losses(
            self,
            y_hat: Tensor,
            condition: Condition = None) -> tuple[Tensor, dict[str, Tensor]]:
        """As :meth:`decode_latents`, with losses that decoding adds.

        Returns:
            The images, and losses as ``extra_losses`` of an output.
        """
        return self.decode_latents(y_hat, condition), {}

    @abstractmethod
    def read_latents(self,
                     decoders: dict[str, SymbolDecoder],
                     coded_size: tuple[int, int],
                     condition: Condition = None) -> Tensor:
        """Decode ``y_hat`` of one image.

        Args:
            decoders: A decoder for each named stream of the file.
            coded_size: Height and width in pixels that were coded.
            condition: With the quality in the file.

        Returns:
            Shape (1, M, h, w).
        """

    @abstractmethod
    def entropy_tables(self) -> dict[str, CdfTables]:
        """Tables of each named stream, in decoding order."""

    @abstractmethod
    def decoding_tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Tensors that decide how symbols become ``y_hat``, by name.

        Tables, and weights of the networks that choose among them; not the
        weights of the encoder, or of the transform to the image.
        """

    def update_entropy_tables(self, update_quantiles: bool = True) -> None:
        """Make tables from the present weights; needed before coding.

        A codec without weights does nothing here.

        Args:
            update_quantiles: False keeps the quantiles of the factorised
                priors, and so their medians: for weights that were trained
                elsewhere with an auxiliary loss.
        """

    def refresh_entropy_tables(self) -> None:
        """Make tables if there are none or the weights have changed since.

        Tables from a checkpoint count as made from its weights.
        """
        self.update_entropy_tables()

    def load_training_state(self, state_dict: dict[str, Tensor]) -> None:
        """Load a state of a running training.

        Its tables may be older than its weights. The codec, or the one that
        it was copied from, remembers for which weights it made them.
        """
        self.load_state_dict(state_dict)

    @property
    def tables_can_change(self) -> bool:
        """Whether training may change the weights that tables are made of."""
        return False

    def drop_entropy_tables(self) -> None:
        """Drop the tables, as in a newly built codec."""

    def forward(self, x: Tensor, condition: Condition = None) -> CodecOutput:
        """As :meth:`encode_latents`, and decode images to ``x_hat``.

        They may be of any floating type.
        """
        output = self.encode_latents(self._in_own_type(x), condition)
        output.x_hat, losses = self.decode_with_losses(output.y_hat, condition)
        output.extra_losses.update(losses)
        return output

    def make_portable(self, images: Tensor | None = None) -> None:
        """Do nothing but warn: learned codecs are portable as they are.

        Args:
            images: Ignored.
        """
        warnings.warn(
            '`make_portable` does nothing any more: learned codecs are '
            'portable without it, unless built with `portable=False`.',
            DeprecationWarning,
            stacklevel=2)

    def _in_own_type(self, x: Tensor) -> Tensor:
        """Convert images to the type of the weights, e.g. from float16."""
        own = next((p.dtype for p in self.parameters()), x.dtype)
        return x.to(own) if x.is_floating_point() else x

    def check_input(self, x: Tensor, condition: Condition) -> None:
        """Refuse images that cannot be encoded without padding.

        Raises:
            ValueError: As :meth:`check_images`, if there is no image, or
                if the size does not fit the codec's stride.
        """
        self.check_images(x, condition)
        if not len(x):
            raise ValueError('`x` is a batch without images, of shape '
                             f'{tuple(x.shape)}; expected one or more.')
        factor = self.downsampling_factor
        if x.shape[-2] % factor or x.shape[-1] % factor:
            raise ValueError(
                f'`x` has size {tuple(x.shape[-2:])}; both sides must be '
                f'multiples of {factor} for {type(self).__name__}. Use '
                '`mmhmc.functional.padded_size` and `extend_edges` first.')

    def may_read_values(self, x: Tensor) -> bool:
        """Whether values of ``x`` may be checked: not in training on a GPU,
        for that would wait for it.
        """
        return reads_without_waiting(x) or not (self.training
                                                or is_estimating())

    def check_images(self, x: Tensor, condition: Condition) -> None:
        """Refuse images that cannot be encoded at any size.

        In training on a GPU values are not checked, see
        :meth:`may_read_values`: losses will not be finite.

        Raises:
            TypeError: If ``x`` holds integers.
            ValueError: If ``x`` has the wrong shape or is not finite, or if
                there is a condition and the codec knows none.
        """
        if x.ndim != 4 or x.shape[1] != 3 or 0 in x.shape[1:]:
            raise ValueError('`x` must be RGB images of shape (B, 3, H, W), '
                             f'which must be positive, got {tuple(x.shape)}.')
        if not x.is_floating_point():
            raise TypeError(f'`x` must be floating, in [0, 1], got {x.dtype}; '
                            'divide 8-bit images by 255.')
        # A sum is quick, and finite only if every term is.
        if self.may_read_values(x) and not (x.sum().isfinite()
                                            or torch.isfinite(x).all()):
            bad = torch.isfinite(x).logical_not().sum(dim=(1, 2, 3)).tolist()
            raise ValueError(
                '`x` must be finite; the images of this batch have '
                f'{bad} values that are NaN or infinite. Check the files and '
                'the augmentation.')
        if condition is not None:
            raise ValueError(f'{type(self).__name__} has no run-time controls,'
                             f' got {condition}.')


def build_codec(codec: ImageCodec | dict) -> ImageCodec:
    """Build a codec from its config; a built one is returned as it is.

    Raises:
        TypeError: If it is neither, or names something that is no codec.
        ValueError: If the name is not registered.
    """
    if isinstance(codec, ImageCodec):
        return codec
    if not isinstance(codec, dict) or 'type' not in codec:
        raise TypeError('`codec` must be an ImageCodec or a config with '
                        f'`type`, got {codec!r}.')
    name = codec['type']
    if isinstance(name, str) and MODELS.get(name) is None:
        known = sorted(name for name, entry in MODELS.module_dict.items()
                       if issubclass(entry, ImageCodec))
        near = get_close_matches(name.split('.')[-1], known, 1, 0.5)
        hint = f' Did you mean mmhmc.{near[0]}?' if near else ''
        raise ValueError(f'There is no codec {name!r}; the codecs are '
                         f'{", ".join(known)}, written mmhmc.NAME.{hint}')
    built = MODELS.build(codec)
    if not isinstance(built, ImageCodec):
        raise TypeError(f'{name!r} is a {type(built).__name__}, not a codec.')
    return built
