"""Codecs of Ballé et al. (2018): factorised prior and scale hyperprior."""
from torch import Tensor, nn

from mmhmc.bitstream import SymbolDecoder
from mmhmc.registry import MODELS
from mmhmc.structures import CodecOutput, LatentSymbols
from .compressai_codec import CompressAICodec


@MODELS.register_module()
class FactorizedPrior(CompressAICodec):
    """Factorised-prior codec of Ballé et al. (2018), with GDN transforms.

    .. code-block:: none

              ┌───┐  y             y_hat ┌───┐
        x ──►─┤g_a├──►──── EB ──►────────┤g_s├──►── x_hat
              └───┘                      └───┘
        EB = entropy bottleneck

    Network, entropy model and weights are CompressAI's
    ``bmshj2018-factorized``. Notation: ``latent_channels`` is the paper's M,
    ``hidden_channels`` its N.

    Differences from the paper: the quantiles are solved for instead of
    learnt with an auxiliary loss.

    Reference:
        J. Ballé, D. Minnen, S. Singh, S. J. Hwang, N. Johnston: "Variational
        Image Compression with a Scale Hyperprior", ICLR 2018.
        https://arxiv.org/abs/1802.01436

    Args:
        hidden_channels: Channels of the transforms' hidden layers.
        latent_channels: Channels of the latent ``y``.
        portable: See :class:`CompressAICodec`.
        init_cfg: mmengine's initialisation.
        quantiser: See :class:`CompressAICodec`.

    Raises:
        ValueError: If a channel count is not positive, or the quantiser is
            unknown.
    """

    downsampling_factor = 16
    codec_id = 'bmshj2018-f'
    receptive_radius = 32

    @staticmethod
    def build_network(hidden_channels: int, latent_channels: int) -> nn.Module:
        """CompressAI's network, whose parts are taken."""
        from compressai.models import FactorizedPrior as Network
        return Network(hidden_channels, latent_channels)

    def code_latent(self, y: Tensor, rate: bool = True) -> CodecOutput:
        """See :meth:`CompressAICodec.code_latent`; stream ``y``."""
        y_hat, likelihoods = self.run_bottleneck(y, rate)
        output = CodecOutput(y_hat, dict(y=likelihoods) if rate else {})
        if self.notes_symbols(y):
            output.symbols = {'y': self.bottleneck_symbols(y)}
        return output

    def decode_latent(self, decoders: dict[str, SymbolDecoder],
                      latent_size: tuple[int, int]) -> Tensor:
        """See :meth:`CompressAICodec.decode_latent`."""
        return self.read_bottleneck(decoders['y'], latent_size)


@MODELS.register_module()
class ScaleHyperprior(CompressAICodec):
    """Scale hyperprior codec of Ballé et al. (2018), with GDN transforms.

    .. code-block:: none

              ┌───┐  y                      y_hat ┌───┐
        x ──►─┤g_a├──►─┬──────────►── GC ──►──────┤g_s├──►── x_hat
              └───┘    │              ▲           └───┘
                       │              └────◄────┐ scales_hat
                       │ ┌───┐  z       z_hat ┌─┴─┐
                       └─┤h_a├──►── EB ──►────┤h_s├
                     |y| └───┘                └───┘
        EB = entropy bottleneck, GC = Gaussian conditional

    Network, entropy models and weights are CompressAI's
    ``bmshj2018-hyperprior``. Notation: ``latent_channels`` is the paper's M,
    ``hidden_channels`` its N.

    Differences from the paper: the quantiles are solved for instead of
    learnt with an auxiliary loss.

    Reference:
        J. Ballé, D. Minnen, S. Singh, S. J. Hwang, N. Johnston: "Variational
        Image Compression with a Scale Hyperprior", ICLR 2018.
        https://arxiv.org/abs/1802.01436

    Args:
        hidden_channels: Channels of the transforms' hidden layers.
        latent_channels: Channels of the latent ``y``.
        portable: See :class:`CompressAICodec`.
        init_cfg: mmengine's initialisation.
        quantiser: See :class:`CompressAICodec`.

    Raises:
        ValueError: If a channel count is not positive, or the quantiser is
            unknown.
    """

    downsampling_factor = 64
    codec_id = 'bmshj2018-h'
    receptive_radius = 32
    prior_networks = ('h_s', )

    @staticmethod
    def build_network(hidden_channels: int, latent_channels: int) -> nn.Module:
        """CompressAI's network, whose parts are taken."""
        from compressai.models import ScaleHyperprior as Network
        return Network(hidden_channels, latent_channels)

    def code_latent(self, y: Tensor, rate: bool = True) -> CodecOutput:
        """See :meth:`CompressAICodec.code_latent`; streams ``z``, ``y``."""
        z = self.run_hyper_analysis(y.abs())
        z_hat, z_likelihoods = self.run_bottleneck(z, rate)
        scales_hat = self.run_prior('h_s', z_hat)
        y_hat, y_likelihoods = self.run_conditional(y, scales_hat, rate=rate)
        output = CodecOutput(
            y_hat,
            dict(y=y_likelihoods, z=z_likelihoods) if rate else {})
        if self.notes_symbols(y):
            output.symbols = {
                'z':
                self.bottleneck_symbols(z),
                'y':
                LatentSymbols(y_hat.flatten().int(),
                              self.scale_indexes(scales_hat).flatten())
            }
        return output

    def decode_latent(self, decoders: dict[str, SymbolDecoder],
                      latent_size: tuple[int, int]) -> Tensor:
        """See :meth:`CompressAICodec.decode_latent`."""
        z_hat = self.read_bottleneck(decoders['z'], latent_size)
        scales_hat = self.run_prior('h_s', z_hat)
        symbols = decoders['y'].decode(
            self.scale_indexes(scales_hat).flatten())
        return symbols.view_as(scales_hat).float()
