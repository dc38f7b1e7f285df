"""Data that codec, adapter, losses and metrics pass to each other."""
from dataclasses import dataclass, field, replace
from numbers import Real

from torch import Tensor


@dataclass
class LatentSymbols:
    """Integers of one latent tensor, in the order in which they are coded.

    Args:
        symbols: Integers that the entropy coder writes, int32, shape (n,).
        indexes: Entropy table of each symbol, int32, shape (n,).
    """

    symbols: Tensor
    indexes: Tensor


@dataclass
class CodecOutput:
    """Latents of a batch of images, their likelihoods and reconstructions.

    Args:
        y_hat: Quantised latent (noisy while training), shape (B, M, h, w).
        likelihoods: For each latent its likelihoods in (0, 1], each of shape
            (B, C, h, w); the bits of a latent are ``-log2`` of them, summed.
            Empty for a codec that has no entropy model.
        x_hat: Reconstruction, not clamped, shape (B, 3, H, W); None when only
            the latents were asked for.
        symbols: For each named stream the symbols of the entropy coder; only
            for a batch of one image in evaluation mode, else empty.
        extra_losses: The codec's own losses in training, by name and already
            weighed; most codecs have none.
        y_layers: Of a codec in layers the latents of the base, of the first
            two layers and so on, but for that of all, which is ``y_hat``;
            each (B, M, h, w). Else empty.
    """

    y_hat: Tensor
    likelihoods: dict[str, Tensor] = field(default_factory=dict)
    x_hat: Tensor | None = None
    symbols: dict[str, LatentSymbols] = field(default_factory=dict)
    extra_losses: dict[str, Tensor] = field(default_factory=dict)
    y_layers: list[Tensor] = field(default_factory=list)


@dataclass(frozen=True)
class CodingCondition:
    """Run-time controls of a codec; codecs without them refuse them.

    Args:
        quality: Rate index, 1 is the lowest rate; also between two integers,
            where the codec interpolates. In training also one for each image
            of a batch, where the codec can (``mixes_qualities``).
        task: Name of the task to decode for.
        alpha: Transition between two tasks, in [0, 1].
        beta: Weight of realism against distortion, not negative.

    Raises:
        TypeError: If one is of another kind.
    """

    quality: float | tuple[float, ...] | None = None
    task: str | None = None
    alpha: float | None = None
    beta: float | None = None

    def __post_init__(self) -> None:
        if isinstance(self.quality, list):
            object.__setattr__(self, 'quality', tuple(self.quality))
        for name in ('quality', 'alpha', 'beta'):
            value = getattr(self, name)
            several = name == 'quality' and isinstance(value, tuple) and value
            for one in value if several else (value, ):
                if not (value is None or isinstance(one, Real)):
                    raise TypeError(
                        f'`{name}` must be a number, got {value!r}.')
        if not (self.task is None or isinstance(self.task, str)):
            raise TypeError(f'`task` must be a name, got {self.task!r}.')


#: Run-time controls, or None for a codec's own.
Condition = CodingCondition | None


@dataclass
class CodedBatch:
    """A batch of images that was encoded and decoded in front of a host.

    Args:
        x: Images on the host's canvas, RGB in [0, 1], (B, 3, H, W).
        x_hat: Their reconstructions for people, same shape; undefined outside
            an image. None if none was decoded.
        x_bar: Input of the host instead of ``x``, same shape; equal to ``x``
            outside an image. Of a ``LatentBackbone`` the latents,
            (B, M, h, w).
        sizes: Real height and width of each image in pixels.
        bits: Estimated bits of each image, without padding, shape (B,).
        num_bytes: Length of each real bitstream with its header; None where
            none was written.
        y_hat: Latents from which ``x_hat`` can be decoded, (B, M, h, w); None
            if it has been decoded already.
        condition: Run-time controls with which the batch was coded.
        extra_losses: See :class:`CodecOutput`.
        stream_bytes: For each real bitstream the length of each named stream;
            empty where none was written.
        rest_bits: Estimated bits of each image, (B,), that are in ``bits``
            and that the machine does not need; None if it needs all.
        real: True for pixels of an image, False for padding, (B, 1, H, W);
            None where there is no padding, or where it was not needed.
    """

    x: Tensor
    x_hat: Tensor | None
    x_bar: Tensor
    sizes: list[tuple[int, int]]
    bits: Tensor
    num_bytes: list[int | None]
    y_hat: Tensor | None = None
    condition: Condition = None
    extra_losses: dict[str, Tensor] = field(default_factory=dict)
    stream_bytes: list[dict[str, int]] = field(default_factory=list)
    real: Tensor | None = None
    rest_bits: Tensor | None = None


@dataclass
class CodedImage:
    """Rate and reconstruction of one image, a field of its data sample.

    Metrics read it. Its images are not pickled, so dumped predictions stay
    small. Copies share them: hosts copy a data sample to change its
    predictions.

    Args:
        bits: Estimated bits.
        num_bytes: Length of the real bitstream, None if none was written.
        coded_size: Height and width in pixels that the codec was given.
        original_size: Height and width in pixels of the image's file.
        x: RGB in [0, 1] that was coded, shape (3, *coded_size).
        x_hat: Its reconstruction, in [0, 1], same shape; None if none was
            decoded.
        view: ``'image'``; or which view it is, if several views of an image
            were encoded separately.
        stream_bytes: Length of each named stream of the real bitstream;
            empty if none was written.
    """

    bits: float
    num_bytes: int | None
    coded_size: tuple[int, int]
    original_size: tuple[int, int]
    x: Tensor | None = field(default=None, repr=False)
    x_hat: Tensor | None = field(default=None, repr=False)
    view: str = 'image'
    stream_bytes: dict[str, int] = field(default_factory=dict)

    def __getstate__(self) -> dict:
        return {**self.__dict__, 'x': None, 'x_hat': None}

    def __copy__(self) -> 'CodedImage':
        return replace(self)

    def __deepcopy__(self, memo: dict) -> 'CodedImage':
        return replace(self, stream_bytes=dict(self.stream_bytes))
