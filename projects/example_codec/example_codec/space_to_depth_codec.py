"""A codec of one's own, in about 60 lines."""
from torch import Tensor, nn

from mmhmc.bitstream import SymbolDecoder
from mmhmc.codecs.compressai_codec import CompressAICodec
from mmhmc.registry import MODELS
from mmhmc.structures import CodecOutput


class Residual(nn.Sequential):
    """Two 3x3 convolutions and a way around them, (B, C, H, W) to the same.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(
            nn.Conv2d(channels, channels, 3, padding=1), nn.GELU(),
            nn.Conv2d(channels, channels, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """Add what the convolutions make of ``x``."""
        return x + super().forward(x)


@MODELS.register_module()
class SpaceToDepthCodec(CompressAICodec):
    """Transforms that rearrange pixels, and a factorised prior.

    .. code-block:: none

              ┌───┐  y             y_hat ┌───┐
        x ──►─┤g_a├──►──── EB ──►────────┤g_s├──►── x_hat
              └───┘                      └───┘
        EB = entropy bottleneck

    Each transform gathers 4x4 pixels into channels and convolves there, so
    no layer works at the full resolution. The example of a tutorial and
    after no paper; the entropy model is that of Ballé et al. (2018).

    Args:
        hidden_channels: Channels at a quarter of the image's sides.
        latent_channels: Channels of the latent ``y``.
        init_cfg: mmengine's initialisation.

    Raises:
        ValueError: If a channel count is not positive.
    """

    #: Two steps of 4 between image and latent.
    downsampling_factor = 16
    #: What its files call it.
    codec_id = 'space-to-depth'
    #: Three 3x3 convolutions, each of which sees 4 pixels further.
    receptive_radius = 16

    @staticmethod
    def build_network(hidden_channels: int, latent_channels: int) -> nn.Module:
        """The parts: ``g_a``, ``g_s`` and ``entropy_bottleneck``."""
        from compressai.entropy_models import EntropyBottleneck
        hidden, latent = hidden_channels, latent_channels
        network = nn.Module()
        network.g_a = nn.Sequential(
            nn.PixelUnshuffle(4), nn.Conv2d(48, hidden, 3, padding=1),
            Residual(hidden), nn.PixelUnshuffle(4),
            nn.Conv2d(16 * hidden, latent, 1))
        network.entropy_bottleneck = EntropyBottleneck(latent)
        network.g_s = nn.Sequential(
            nn.Conv2d(latent, 16 * hidden, 1), nn.PixelShuffle(4),
            Residual(hidden), nn.Conv2d(hidden, 48, 3, padding=1),
            nn.PixelShuffle(4))
        return network

    def quantise_latent(self,
                        y: Tensor,
                        with_likelihoods: bool = True) -> CodecOutput:
        """Quantise ``y`` (B, M, h, w); its symbols are the stream ``y``."""
        y_hat, likelihoods = self.run_bottleneck(y, with_likelihoods)
        output = CodecOutput(y_hat)
        if with_likelihoods:
            output.likelihoods['y'] = likelihoods
        if self.needs_symbols(y):
            output.symbols = {'y': self.bottleneck_symbols(y)}
        return output

    def decode_latent(self, decoders: dict[str, SymbolDecoder],
                      latent_size: tuple[int, int]) -> Tensor:
        """Read ``y_hat`` (1, M, h, w) back from the stream ``y``."""
        return self.read_bottleneck(decoders['y'], latent_size)
