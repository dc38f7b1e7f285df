"""What all codecs over CompressAI's networks share."""
from abc import abstractmethod
from collections.abc import Iterator
from typing import Optional

import torch
from torch import Tensor, nn

from mmhmc.bitstream import CdfTables, SymbolDecoder
from mmhmc.structures import CodecOutput, CodingCondition, LatentSymbols
from .base import ImageCodec

_TABLE_BUFFERS = ('_quantized_cdf', '_offset', '_cdf_length', 'scale_table')


class PointwiseStridedConv2d(nn.Conv2d):
    """1x1 convolution with a stride, as a slice and one without.

    The same result and the same parameters. oneDNN's float32 channels_last
    backward pass of the strided form writes outside its buffers when there
    are three input channels (torch 2.1 to 2.13), which ends in a crash; this
    class can go when that is mended.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Convolve every stride-th pixel of ``x`` (B, C, H, W)."""
        row, column = self.stride
        return nn.functional.conv2d(x[..., ::row, ::column], self.weight,
                                    self.bias)


class CompressAICodec(ImageCodec):
    """A codec that takes its parts from a CompressAI network.

    The parts keep their names, so that CompressAI's state dicts load as they
    are. Entropy models, and what feeds them, compute in float32 under
    autocast. The quantiles of the entropy bottleneck need no gradient and no
    auxiliary loss: :meth:`update_entropy_tables` solves for them.

    Args:
        hidden_channels: Channels of the transforms' hidden layers.
        latent_channels: Channels of the latent ``y``.
        init_cfg: mmengine's initialisation.

    Raises:
        ValueError: If a channel count is not positive.
    """

    def __init__(self,
                 hidden_channels: int = 128,
                 latent_channels: int = 192,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        _check_channels(
            hidden_channels=hidden_channels, latent_channels=latent_channels)
        self.latent_channels = latent_channels
        network = self.build_network(hidden_channels, latent_channels)
        for name, part in network.named_children():
            self.add_module(name, part)
        self.entropy_bottleneck.quantiles.requires_grad_(False)
        for part in self.g_a.modules():
            if (isinstance(part, nn.Conv2d) and part.kernel_size == (1, 1)
                    and part.stride != (1, 1)):
                part.__class__ = PointwiseStridedConv2d

    @staticmethod
    @abstractmethod
    def build_network(hidden_channels: int, latent_channels: int) -> nn.Module:
        """CompressAI's network, whose parts are taken."""

    def encode_latents(
            self,
            x: Tensor,
            condition: Optional[CodingCondition] = None) -> CodecOutput:
        """See :meth:`ImageCodec.encode_latents`."""
        self.check_input(x, condition)
        y = self.g_a(x)
        with torch.autocast(x.device.type, enabled=False):
            return self.code_latent(y.float())

    def decode_latents(self,
                       y_hat: Tensor,
                       condition: Optional[CodingCondition] = None) -> Tensor:
        """See :meth:`ImageCodec.decode_latents`."""
        return self.g_s(y_hat).float()

    def read_latents(self, decoders: dict[str, SymbolDecoder],
                     coded_size: tuple[int, int]) -> Tensor:
        """See :meth:`ImageCodec.read_latents`."""
        device = self.entropy_bottleneck.quantiles.device
        latent_size = tuple(side // self.downsampling_factor
                            for side in coded_size)
        with torch.autocast(device.type, enabled=False):
            return self.decode_latent(decoders, latent_size)

    @abstractmethod
    def code_latent(self, y: Tensor) -> CodecOutput:
        """Quantise ``y`` (B, M, h, w) and find its likelihoods."""

    @abstractmethod
    def decode_latent(self, decoders: dict[str, SymbolDecoder],
                      latent_size: tuple[int, int]) -> Tensor:
        """Decode ``y_hat`` (1, M, h, w).

        Args:
            decoders: A decoder for each named stream.
            latent_size: Height and width of the smallest latent.
        """

    def update_entropy_tables(self) -> None:
        """See :meth:`ImageCodec.update_entropy_tables`."""
        from compressai.models.base import get_scale_table
        self.entropy_bottleneck.update(force=True, update_quantiles=True)
        if hasattr(self, 'gaussian_conditional'):
            self.gaussian_conditional.update_scale_table(
                get_scale_table(), force=True)

    def drop_entropy_tables(self) -> None:
        """See :meth:`ImageCodec.drop_entropy_tables`."""
        for _, part in self._entropy_models():
            for name in _TABLE_BUFFERS:
                old = getattr(part, name, None)
                if torch.is_tensor(old):
                    setattr(part, name, old.new_empty(0))

    def bottleneck_symbols(self, z: Tensor) -> LatentSymbols:
        """Symbols of what the entropy bottleneck codes, (1, C, h, w)."""
        medians = self.entropy_bottleneck.quantiles[:, 0, 1].view(-1, 1, 1)
        symbols = torch.round(z[0] - medians).int()
        return LatentSymbols(symbols.flatten(),
                             self._bottleneck_indexes(z.shape[-2:]))

    def read_bottleneck(self, decoder: SymbolDecoder,
                        size: tuple[int, int]) -> Tensor:
        """Inverse of :meth:`bottleneck_symbols`, (1, C, h, w)."""
        medians = self.entropy_bottleneck.quantiles[:, 0, 1].view(-1, 1, 1)
        symbols = decoder.decode(self._bottleneck_indexes(size))
        return (symbols.view(-1, *size) + medians)[None]

    def _bottleneck_indexes(self, size: tuple[int, int]) -> Tensor:
        channels = torch.arange(
            self.entropy_bottleneck.channels,
            dtype=torch.int32,
            device=self.entropy_bottleneck.quantiles.device)
        return channels.repeat_interleave(size[0] * size[1])

    def scale_indexes(self, scales_hat: Tensor) -> Tensor:
        """Table of each scale, int32: the nearest one, by logarithm."""
        table = self.gaussian_conditional.scale_table
        if not table.numel():
            return torch.zeros_like(scales_hat, dtype=torch.int32)
        borders = (table[:-1] * table[1:]).sqrt()
        return torch.bucketize(
            scales_hat.contiguous(), borders, out_int32=True)

    def entropy_tables(self) -> dict[str, CdfTables]:
        """See :meth:`ImageCodec.entropy_tables`."""
        return {
            name: CdfTables(part._quantized_cdf, part._cdf_length,
                            part._offset)
            for name, part in self._entropy_models()
        }

    def _entropy_models(self) -> Iterator[tuple[str, nn.Module]]:
        if hasattr(self, 'gaussian_conditional'):
            yield 'z', self.entropy_bottleneck
            yield 'y', self.gaussian_conditional
        else:
            yield 'y', self.entropy_bottleneck

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        # Tables grow and shrink with the weights: take the size that comes.
        for name, part in self.named_modules():
            for buffer in _TABLE_BUFFERS:
                new = state_dict.get(f'{prefix}{name}.{buffer}')
                old = getattr(part, buffer, None)
                if new is not None and torch.is_tensor(old):
                    setattr(part, buffer, old.new_empty(new.shape))
        super()._load_from_state_dict(state_dict, prefix, *args)


def _check_channels(**channels: int) -> None:
    """Refuse channel counts that are not positive integers.

    Raises:
        ValueError: With the name and the value.
    """
    for name, value in channels.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(f'`{name}` must be a positive integer, '
                             f'got {value!r}.')
