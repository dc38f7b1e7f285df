"""Initialisation of transforms as a Karhunen-Loeve transform."""
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .depth_conv import PATCH, DepthConvBlock, PatchConv2d
from .divisive_norm import DivisiveNorm
from .gain import Gain

#: Bias of the gates of attention that lets next to nothing through.
_CLOSED = -5.


@torch.no_grad()
def init_as_klt(g_a: Sequence[nn.Module],
                g_s: Sequence[nn.Module],
                images: Tensor,
                step: float,
                gain: float = 0.3) -> None:
    """Make a Karhunen-Loeve transform of the layers that change the size.

    Each of the ``n`` layers of ``g_a`` that halve the size turns blocks of
    2 x 2 positions by the principal axes of what comes before it, and keeps
    the first ones; ``g_s`` turns them back:

    .. code-block:: none

        x ─► 2 x 2 ─► axes ─► 2 x 2 ─► axes ─► ... ─► / step ─► y
             (3 * 4 = 12)     (12 * 4 = 48)

    Channels beyond those axes keep their random weights, and no layer reads
    them at first. The layers between must be nearly the identity: GDN is for
    small values, which ``gain`` makes of signals, and residual and attention
    blocks are made so here. A residual block that halves the size is linear
    as long as its LeakyReLU sees positive values, which biases provide; one
    that doubles it has a linear shortcut. The layers of DCVC-UF on squares of
    8 x 8 pixels turn these at once.

    Reference:
        H. Hotelling: "Analysis of a complex of statistical variables into
        principal components", J. Educ. Psychol. 1933, for the transform; its
        use for the initialisation of learned codecs is this project's.

    Args:
        g_a: Analysis: ``Conv2d`` of stride 2, ``ResidualBlockWithStride``
            of CompressAI or ``PatchConv2d``.
        g_s: Synthesis: as many ``ConvTranspose2d`` of stride 2,
            ``ResidualBlockUpsample`` or ``subpel_conv3x3``, or the
            upsampling of DCVC-UF.
        images: Examples (B, 3, H, W) as ``g_a`` takes them, sides multiples
            of the latent's stride.
        step: Step of quantisation of an orthonormal coefficient, in units of
            the images, positive; see :func:`best_step`.
        gain: Size of signals between the layers.

    Raises:
        ValueError: If the layers are others.
    """
    down, up = _resizing(g_a, g_s)
    mean = images.mean((0, 2, 3))
    signal = images - mean[:, None, None]
    last = len(down) - 1
    for i, (analysis, synthesis) in enumerate(zip(down, reversed(up))):
        conv = getattr(analysis, 'conv1', analysis)
        axes, signal = _axes(signal, conv.out_channels, _factor(analysis))
        scale = (gain if i == 0 else 1.) / (step * gain if i == last else 1.)
        offset = axes.new_zeros(axes.shape[1]) if i else mean
        _turn(conv, axes * scale, offset)
        _turn_back(synthesis, axes / scale, offset)
        if conv is not analysis:
            _straighten(analysis, gain * signal)
    for layer in (*g_a, *g_s):
        _let_pass(layer)


def best_step(lmbda: float) -> float:
    """Step that minimises R + lmbda * 255^2 * MSE at high rates.

    For orthonormal coefficients of images in [0, 1], R in bits per pixel of
    three values: n coefficients of a pixel cost ``-n log2(step)`` bits and
    ``n step^2 / 36`` of the squared error.

    Args:
        lmbda: Weight of the distortion, positive.
    """
    return float((18 / (torch.log(torch.tensor(2.)) * lmbda * 255**2))**0.5)


def _resizing(
        g_a: Sequence[nn.Module],
        g_s: Sequence[nn.Module]) -> tuple[list[nn.Module], list[nn.Module]]:
    """Layers that halve the size, and those that double it, in order."""
    from compressai.layers import (GDN, AttentionBlock, ResidualBlock,
                                   ResidualBlockUpsample,
                                   ResidualBlockWithStride)
    halving = nn.Conv2d, ResidualBlockWithStride
    doubling = nn.ConvTranspose2d, ResidualBlockUpsample, nn.Sequential
    between = (GDN, DivisiveNorm, ResidualBlock, AttentionBlock,
               DepthConvBlock, Gain)
    down = [layer for layer in g_a if not isinstance(layer, between)]
    up = [layer for layer in g_s if not isinstance(layer, between)]
    others = [
        type(layer).__name__
        for layers, kinds in ((down, halving), (up, doubling))
        for layer in layers
        if not (isinstance(layer, kinds) and _factor(layer) in (2, PATCH))
    ]
    factors = [[_factor(layer) for layer in layers]
               for layers in (down, reversed(up))]
    if not down or factors[0] != factors[1] or others:
        raise ValueError(
            'The transform can begin as a linear one where g_a has Conv2d or '
            'ResidualBlockWithStride, and g_s as many ConvTranspose2d, '
            'ResidualBlockUpsample or subpel_conv3x3, all of stride 2, with '
            'GDN, ResidualBlock and AttentionBlock between them; got '
            f'{len(down)} and {len(up)}, of which others: '
            f'{", ".join(others) or "none"}.')
    return down, up


def _factor(layer: nn.Module) -> int:
    """Positions on a side of the squares that a layer takes or makes."""
    if isinstance(layer, PatchConv2d):
        return PATCH
    for part in layer.modules():
        if isinstance(part, nn.PixelShuffle):
            return part.upscale_factor
    layer = getattr(layer, 'conv1', layer)
    return getattr(layer, 'stride', (1, 1))[0]


def _axes(signal: Tensor, most: int, side: int) -> tuple[Tensor, Tensor]:
    """Principal axes (K, C, s, s) of s x s positions, and the signal there."""
    channels = signal.shape[1]
    blocks = nn.functional.pixel_unshuffle(signal, side)
    vectors = blocks.permute(0, 2, 3, 1).flatten(0, 2).double()
    _, axes = torch.linalg.eigh(vectors.T @ vectors)
    # eigh sorts by rising variance.
    axes = axes.flip(1)[:, :most].T.to(signal.dtype)
    turned = torch.einsum('kc,bchw->bkhw', axes, blocks)
    return axes.reshape(-1, channels, side, side), turned


def _turn(layer: nn.Conv2d, axes: Tensor, offset: Tensor) -> None:
    """Rotate a signal with mean ``offset`` (C,) by axes (K, C, s, s)."""
    count, channels = axes.shape[:2]
    layer.weight[:count] = 0
    if isinstance(layer, PatchConv2d):
        layer.weight[:count, :, 0, 0] = axes.flatten(1)
    else:
        rows, columns = (slice(p, p + 2) for p in layer.padding)
        layer.weight[:count, :channels, rows, columns] = axes
    layer.bias[:count] = -axes.sum((2, 3)) @ offset


def _turn_back(layer: nn.Module, axes: Tensor, offset: Tensor) -> None:
    """Undo :func:`_turn`."""
    count, channels = axes.shape[:2]
    if isinstance(layer, nn.ConvTranspose2d):
        rows, columns = (slice(p, p + 2) for p in layer.padding)
        layer.weight[:, :channels] = 0
        layer.weight[:count, :channels, rows, columns] = axes
        layer.bias[:channels] = offset
        return
    conv, size = getattr(layer, 'upsample', layer)[0], axes[0, 0].numel()
    if isinstance(conv, DepthConvBlock):
        conv = conv.adaptor
    block = layer[-1] if isinstance(layer, nn.Sequential) else layer
    if getattr(block, 'skips', False):
        # The block passes on its input, and adds it.
        axes, offset = axes / 2, offset / 2
    # The positions of a channel come one after the other.
    centre = conv.kernel_size[0] // 2
    conv.weight[:size * channels] = 0
    conv.weight[:size * channels, :count, centre, centre] = axes.flatten(1).T
    conv.bias[:size * channels] = offset.repeat_interleave(size)


def _straighten(block: nn.Module, signal: Tensor) -> None:
    """Make a strided residual block linear for its signal (B, K, h, w)."""
    lift = 2 * signal.abs().amax((0, 2, 3))
    count = len(lift)
    block.conv1.bias[:count] += lift
    block.conv2.weight[:count] = 0
    block.conv2.weight[range(count), range(count), 1, 1] = 1
    block.conv2.bias[:count] = -lift
    block.skip.weight[:count] = 0
    block.skip.bias[:count] = 0


def _let_pass(layer: nn.Module) -> None:
    """Make blocks the identity, by closing all but their shortcuts."""
    from compressai.layers import (AttentionBlock, ResidualBlock,
                                   ResidualBlockUpsample)
    branches = [
        branch for block in layer.modules()
        if isinstance(block, DepthConvBlock)
        for branch in (block.leave, block.narrow)
    ]
    if isinstance(layer, ResidualBlock):
        branches = [layer.conv2]
    elif isinstance(layer, ResidualBlockUpsample):
        branches = [layer.conv]
    elif isinstance(layer, AttentionBlock):
        branches = [layer.conv_b[-1]]
    for conv in branches:
        conv.weight.zero_()
        conv.bias.fill_(_CLOSED if isinstance(layer, AttentionBlock) else 0.)
