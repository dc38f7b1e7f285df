"""Transforms that begin as the best linear ones."""
from collections.abc import Sequence

import torch
from torch import Tensor, nn


@torch.no_grad()
def init_as_klt(g_a: Sequence[nn.Module],
                g_s: Sequence[nn.Module],
                pictures: Tensor,
                step: float,
                gain: float = 0.3) -> None:
    """Make a Karhunen-Loeve transform of strided convolutions.

    Each of the ``n`` convolutions of ``g_a`` turns blocks of 2 x 2 positions
    by the principal axes of what comes before it, and keeps the first ones;
    ``g_s`` turns them back:

    .. code-block:: none

        x ─► 2 x 2 ─► axes ─► 2 x 2 ─► axes ─► ... ─► / step ─► y
             (3 * 4 = 12)     (12 * 4 = 48)

    Channels beyond those axes keep their random weights, and nothing reads
    them to begin with. What lies between (GDN) must be nearly the identity
    for small values: signals are small there by ``gain``, and a codec with
    GDN that mirrors itself cancels most of the rest.

    Reference:
        H. Hotelling: "Analysis of a complex of statistical variables into
        principal components", J. Educ. Psychol. 1933, for the transform; as
        a beginning for learned codecs it is this project's.

    Args:
        g_a: Analysis: its ``Conv2d`` have stride 2.
        g_s: Synthesis: as many ``ConvTranspose2d`` of stride 2.
        pictures: Examples (B, 3, H, W) in [0, 1], sides multiples of
            ``2**n``.
        step: Step of quantisation of an orthonormal coefficient, in units of
            the pictures, positive; see :func:`best_step`.
        gain: Size of signals between the layers.

    Raises:
        ValueError: If the layers are others.
    """
    down = [layer for layer in g_a if isinstance(layer, nn.Conv2d)]
    up = [layer for layer in g_s if isinstance(layer, nn.ConvTranspose2d)]
    if not down or len(down) != len(up) or any(
            layer.stride != (2, 2) for layer in (*down, *up)):
        raise ValueError(
            'The transform can begin as a linear one where g_a has Conv2d and '
            f'g_s as many ConvTranspose2d of stride 2; got {len(down)} and '
            f'{len(up)}.')
    mean = pictures.mean((0, 2, 3))
    signal = pictures - mean[:, None, None]
    last = len(down) - 1
    for i, (analysis, synthesis) in enumerate(zip(down, reversed(up))):
        axes, next_signal = _axes(signal, analysis.out_channels)
        scale = (gain if i == 0 else 1.) / (step * gain if i == last else 1.)
        _turn(analysis, axes * scale)
        _turn_back(synthesis, axes / scale)
        if i == 0:
            count = len(axes)
            analysis.bias[:count] = -analysis.weight[:count].sum((2, 3)) @ mean
            synthesis.bias.copy_(mean)
        signal = next_signal


def best_step(lmbda: float) -> float:
    """Step that minimises R + lmbda * 255^2 * MSE at high rates.

    For orthonormal coefficients of pictures in [0, 1], R in bits per pixel of
    three values: n coefficients of a pixel cost ``-n log2(step)`` bits and
    ``n step^2 / 36`` of the squared error.

    Args:
        lmbda: Weight of the distortion, positive.
    """
    return float((18 / (torch.log(torch.tensor(2.)) * lmbda * 255**2))**0.5)


def _axes(signal: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Principal axes (K, C, 2, 2) of 2 x 2 positions, and the signal there."""
    channels = signal.shape[1]
    blocks = nn.functional.pixel_unshuffle(signal, 2)
    vectors = blocks.permute(0, 2, 3, 1).flatten(0, 2).double()
    _, axes = torch.linalg.eigh(vectors.T @ vectors)
    # eigh sorts by rising variance.
    axes = axes.flip(1)[:, :most].T.to(signal.dtype)
    turned = torch.einsum('kc,bchw->bkhw', axes, blocks)
    return axes.reshape(-1, channels, 2, 2), turned


def _turn(layer: nn.Conv2d, axes: Tensor) -> None:
    count, channels = axes.shape[:2]
    rows, columns = (slice(p, p + 2) for p in layer.padding)
    layer.weight[:count] = 0
    layer.weight[:count, :channels, rows, columns] = axes
    layer.bias[:count] = 0


def _turn_back(layer: nn.ConvTranspose2d, axes: Tensor) -> None:
    count, channels = axes.shape[:2]
    rows, columns = (slice(p, p + 2) for p in layer.padding)
    layer.weight[:, :channels] = 0
    layer.weight[:count, :channels, rows, columns] = axes
    layer.bias[:channels] = 0
