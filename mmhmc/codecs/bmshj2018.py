"""Codecs of Ballé et al. (2018): factorised prior and scale hyperprior."""

import torch
from torch import Tensor, nn

from mmhmc.bitstream import SymbolDecoder
from mmhmc.registry import MODELS
from mmhmc.structures import CodecOutput
from .compressai_codec import CompressAICodec
from .hyperprior_codec import HyperpriorCodec
from .latent_search import searched
from .layers.gain import Quality


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

    Arguments are those of :class:`CompressAICodec`.
    """

    downsampling_factor = 16
    codec_id = 'bmshj2018-f'
    receptive_radius = 32

    @staticmethod
    def build_network(hidden_channels: int, latent_channels: int) -> nn.Module:
        """CompressAI's network, whose parts are taken."""
        from compressai.models import FactorizedPrior as Network
        return Network(hidden_channels, latent_channels)

    def quantise_latent(self,
                        y: Tensor,
                        with_likelihoods: bool = True,
                        quality: Quality | None = None) -> CodecOutput:
        """See :meth:`CompressAICodec.quantise_latent`; stream ``y``."""
        y = searched('y', lambda y=y: self.scale(y, 'gain', quality))
        y_hat, likelihoods = self.run_bottleneck(y, with_likelihoods)
        output = CodecOutput(y_hat)
        if with_likelihoods:
            output.likelihoods['y'] = likelihoods
        if self.needs_symbols(y):
            output.symbols = {'y': self.bottleneck_symbols(y)}
        return output

    def decode_latent(self,
                      decoders: dict[str, SymbolDecoder],
                      latent_size: tuple[int, int],
                      quality: float | None = None) -> Tensor:
        """See :meth:`CompressAICodec.decode_latent`."""
        return self.read_bottleneck(decoders['y'], latent_size)


@MODELS.register_module()
class ScaleHyperprior(HyperpriorCodec):
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
    ``bmshj2018-hyperprior``. Notation, differences from the paper, reference
    and arguments as in :class:`FactorizedPrior`.
    """

    downsampling_factor = 64
    codec_id = 'bmshj2018-h'
    receptive_radius = 32
    entropy_networks = ('h_s', )

    @staticmethod
    def build_network(hidden_channels: int, latent_channels: int) -> nn.Module:
        """CompressAI's network, whose parts are taken."""
        from compressai.models import ScaleHyperprior as Network
        return Network(hidden_channels, latent_channels)

    def hyper_analysis(self,
                       y: Tensor,
                       quality: Quality | None = None) -> Tensor:
        """See :meth:`HyperpriorCodec.hyper_analysis`; of magnitudes."""
        return super().hyper_analysis(y.abs(), quality)

    def hyper_synthesis(self,
                        z_hat: Tensor,
                        quality: Quality | None = None) -> Tensor:
        """See :meth:`HyperpriorCodec.hyper_synthesis`; means are zero."""
        scales_hat = super().hyper_synthesis(z_hat, quality)
        return torch.cat((scales_hat, torch.zeros_like(scales_hat)), dim=1)
