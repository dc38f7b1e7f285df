"""Between a host's normalised input and a codec's RGB image in [0, 1]."""
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class InputNorm(nn.Module):
    """A host's normalisation, undone and redone.

    .. code-block:: none

        inputs ──► * std + mean ──► / 255 ──► RGB ──► x ──► codec ──► x_bar
           │                                          │                │
           └───────► + ◄── * 255 / std ◄── host's order ◄── x_bar - x ─┘

    The way back adds what the codec changed to what the host had. That equals
    the host's normalisation of ``x_bar`` up to rounding, and is exact to the
    last bit where the codec changed nothing.

    Args:
        mean: Mean of each channel in the host's order, in [0, 255].
        std: Standard deviation of each channel, positive, same unit.
        channel_order: Order of the channels that the host model sees,
            ``'rgb'`` or ``'bgr'``.

    Raises:
        ValueError: If a value is out of range or the lengths differ from 3.
    """

    def __init__(self,
                 mean: Sequence[float] = (0., 0., 0.),
                 std: Sequence[float] = (1., 1., 1.),
                 channel_order: str = 'rgb') -> None:
        super().__init__()
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise ValueError('`mean` and `std` need three numbers each, `std` '
                             f'positive ones; got {mean} and {std}.')
        if channel_order not in ('rgb', 'bgr'):
            raise ValueError("`channel_order` must be 'rgb' or 'bgr', got "
                             f'{channel_order!r}.')
        self.flipped = channel_order == 'bgr'
        for name, values in (('mean', mean), ('std', std)):
            self.register_buffer(
                name,
                torch.tensor(values, dtype=torch.float32).view(-1, 1, 1),
                persistent=False)

    @classmethod
    def from_preprocessor(
            cls, data_preprocessor: 'dict | InputNorm') -> 'InputNorm':
        """Read the normalisation from a host's data preprocessor config.

        Args:
            data_preprocessor: Config of an ``ImgDataPreprocessor`` or of a
                host's own. Images are loaded as BGR, as all hosts do;
                ``bgr_to_rgb`` (mmpretrain: ``to_rgb``) turns them into RGB.
                Where that is not so, ``channel_order`` says what the model
                sees. An :class:`InputNorm` is returned as it is.

        Returns:
            The normalisation.

        Raises:
            TypeError: If it is no dictionary.
        """
        if isinstance(data_preprocessor, InputNorm):
            return data_preprocessor
        if not isinstance(data_preprocessor, dict):
            raise TypeError(
                '`input_norm` must be the data preprocessor of the host, a '
                'dictionary with `mean`, `std` and `bgr_to_rgb`; got '
                f'{type(data_preprocessor).__name__}.')
        mean = _three(data_preprocessor.get('mean'), 0.)
        std = _three(data_preprocessor.get('std'), 1.)
        to_rgb = (
            data_preprocessor.get('bgr_to_rgb', False)
            or data_preprocessor.get('to_rgb', False))
        order = data_preprocessor.get('channel_order')
        return cls(mean, std, order or ('rgb' if to_rgb else 'bgr'))

    def to_image(self, inputs: Tensor) -> Tensor:
        """RGB image of a host's input.

        Args:
            inputs: Normalised by the host, shape (B, 3, H, W), or
                (B, 1, H, W) of a host that sees grey.

        Returns:
            RGB, nominally in [0, 1], float32, shape (B, 3, H, W).

        Raises:
            ValueError: If these are no images of one or three channels.
        """
        if inputs.ndim != 4 or inputs.shape[1] not in (1, 3):
            raise ValueError(
                '`inputs` must be images of shape (B, 3, H, W) or '
                f'(B, 1, H, W), got {tuple(inputs.shape)}.')
        x = (inputs.float() * self.std + self.mean) / 255
        return x.flip(1) if self.flipped else x

    def from_image(self, x: Tensor) -> Tensor:
        """Normalise an image as a host does.

        Args:
            x: RGB, nominally in [0, 1], shape (B, 3, H, W).

        Returns:
            Normalised as the host does, same shape.
        """
        return (
            (x.flip(1) if self.flipped else x) * 255 - self.mean) / self.std

    def to_inputs(self, inputs: Tensor, x: Tensor, x_bar: Tensor) -> Tensor:
        """Input of the host when ``x_bar`` replaces ``x``.

        Args:
            inputs: Input of the host without a codec, (B, 3 or 1, H, W).
            x: Its image, from :meth:`to_image`, (B, 3, H, W).
            x_bar: The image to show instead, same shape.

        Returns:
            Normalised as the host does, shape of ``inputs``; grey is the
            mean of the channels.
        """
        change = x_bar.float() - x
        if self.flipped:
            change = change.flip(1)
        change = change * (255 / self.std)
        if inputs.shape[1] == 1:
            change = change.mean(1, keepdim=True)
        return inputs + change


def _three(values: Sequence[float] | None, default: float) -> Sequence[float]:
    """One value for each of three channels; hosts may give one or none."""
    if values is None:
        return (default, ) * 3
    return tuple(values) * 3 if len(values) == 1 else tuple(values)
