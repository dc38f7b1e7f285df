"""Running transforms between image and latent: tiles, types, controls."""
import copy
from fractions import Fraction
from functools import partial
from math import isqrt

import torch
from torch import Tensor, nn

from mmhmc.functional import run_in_tiles
from .layers.attention_stage import known_controls


class TransformRunner(nn.Module):
    """Runs a codec's transforms: a base of :class:`ImageCodec`."""

    #: Radius in pixels of the receptive field of a transform.
    receptive_radius: int = 0
    #: Side in pixels of the tiles in which large images go through the
    #: transforms, in evaluation without gradients. ``'auto'``: by
    #: :attr:`tile_memory`; a number: images of more than twice its square;
    #: None: never.
    tile_size: int | str | None = 'auto'
    #: Bytes of memory up to which a transform works on a whole image.
    tile_memory: int = 896 << 20
    #: Side below which tiles overlap more than they save.
    least_tile_size: int = 512
    #: Memory of a transform for each pixel of an image, about, in bytes.
    bytes_per_pixel: int = 512
    #: Type in which the transforms between image and latent compute in
    #: evaluation, e.g. ``torch.bfloat16``; None: that of their weights.
    transform_dtype: torch.dtype | None = None

    def run_transform(self, part: nn.Module, x: Tensor, scale: Fraction,
                      **controls) -> Tensor:
        """Run a transform between image and latent.

        Outside training in :attr:`transform_dtype`, and in tiles if the
        image is large.

        Args:
            part: E.g. ``g_a``.
            x: Image or latent, shape (B, C, H, W).
            scale: Output side per input side.
            controls: Of a :class:`~mmhmc.codecs.layers.Transform`, e.g.
                ``quality``; those that the part does not list are left out.

        Returns:
            Shape (B, C', scale * H, scale * W), float32 if
            :attr:`transform_dtype` is set.
        """
        controls = known_controls(part, controls)
        if self.training:
            return part(x, **controls)
        run = partial(self._run_in_dtype, part, **controls)
        # A side of the input in pixels.
        unit = max(1, int(scale))
        pixels = x.shape[-2] * x.shape[-1] * unit**2
        side = self._tile_for(pixels, len(x))
        if side is None or torch.is_grad_enabled():
            return run(x)
        return run_in_tiles(run, x, scale, side // unit,
                            self.receptive_radius // unit)

    def _tile_for(self, pixels: int, images: int) -> int | None:
        """Side of the tiles for images of so many pixels; None: whole."""
        if self.tile_size != 'auto':
            few = self.tile_size is None or pixels <= 2 * self.tile_size**2
            return None if few else self.tile_size
        room = self.tile_memory // (self.bytes_per_pixel * images)
        if pixels <= max(room, 2 * self.least_tile_size**2):
            return None
        # The image itself and the overlap of tiles take memory, too.
        side = isqrt(room * 2 // 5) - 2 * self.receptive_radius
        side -= side % max(64, self.downsampling_factor)
        return max(side, self.least_tile_size)

    def _run_in_dtype(self, part: nn.Module, x: Tensor, **controls) -> Tensor:
        if self.transform_dtype is None:
            return part(x, **controls)
        # Convolutions follow the format of the map, not of the weights.
        x = x.contiguous(memory_format=torch.channels_last)
        *layers, last = part if isinstance(part, nn.Sequential) else [part]
        # Eight bits of bfloat16 are too few for pixels, and for the last sum
        # with a bias near their mean; both cost little in float32.
        if layers and isinstance(layers[0], nn.Conv2d):
            x = layers.pop(0)(x)
        bias = getattr(last, 'bias', None)
        with torch.autocast(x.device.type, self.transform_dtype):
            for layer in layers:
                x = layer(x, **known_controls(layer, controls))
            controls = known_controls(last, controls)
            if bias is None:
                return last(x, **controls).float()
            x = _without_bias(last)(x, **controls)
        return x.float() + bias.view(-1, 1, 1)


def _without_bias(layer: nn.Module) -> nn.Module:
    """A copy of a layer without its bias, with its weights and hooks.

    The layer itself is not changed: other threads may be using it.
    """
    bare = copy.copy(layer)
    bare._parameters = dict(layer._parameters, bias=None)
    return bare
