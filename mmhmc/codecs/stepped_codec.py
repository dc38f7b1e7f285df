"""What codecs share whose latent is coded in a few large steps."""
from abc import abstractmethod
from collections.abc import Callable
from typing import Optional

import torch
from torch import Tensor

from mmhmc.bitstream import SymbolDecoder
from mmhmc.functional.devices import is_hurrying
from mmhmc.functional.rounding import round_ste
from mmhmc.structures import CodecOutput, LatentSymbols
from .compressai_codec import CompressAICodec

#: Picks the elements of a step, (B, c, h', w'), from a latent (B, M, h, w).
Take = Callable[[Tensor], Tensor]
#: Turns the scales and means of a step into what is quantised there.
Settle = Callable[[Take, Tensor, Tensor], Tensor]


class SteppedCodec(CompressAICodec):
    """A codec whose ``y`` is coded in steps, each knowing all before it.

    Training, encoder and decoder walk the same steps, :meth:`walk`, and
    differ in what they do at each: round with a straight-through gradient,
    round and note symbols, or decode them. So what is decoded equals the
    encoder's ``y_hat`` to the last bit, one image at a time.

    In training ``y_hat`` and ``z_hat`` are rounded around their means, as
    they are in evaluation, and likelihoods are those of values with additive
    noise.

    Args:
        hidden_channels: See :class:`CompressAICodec`; so are the others.
        latent_channels: Channels of the latent ``y``.
        portable: Whether streams decode identically on every machine.
        init_cfg: mmengine's initialisation.
    """

    def __init__(self,
                 hidden_channels: int,
                 latent_channels: int,
                 portable: bool = True,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(hidden_channels, latent_channels, portable, init_cfg,
                         'straight_through')

    @abstractmethod
    def walk(self, params: Tensor,
             settle: Settle) -> tuple[Tensor, Tensor, Tensor]:
        """Go through all steps.

        Args:
            params: From ``h_s``, shape (B, P, h, w).
            settle: Called at each step with what picks its elements from a
                latent, their scales and their means, each (B, c, h', w');
                returns what ``y_hat`` is there, of the same shape.

        Returns:
            ``y_hat``, ``scales_hat`` and ``means_hat``, all (B, M, h, w).
        """

    def hyper_analysis(self,
                       y: Tensor,
                       quality: Optional[float] = None) -> Tensor:
        """Latent (B, M, h, w) to ``z``, at a quality if there are several."""
        return self.run_hyper_analysis(y)

    def hyper_synthesis(self,
                        z_hat: Tensor,
                        quality: Optional[float] = None) -> Tensor:
        """``z_hat`` to ``params``, at a quality if there are several."""
        return self.run_prior('h_s', z_hat)

    def code_latent(self,
                    y: Tensor,
                    rate: bool = True,
                    quality: Optional[float] = None) -> CodecOutput:
        """See :meth:`CompressAICodec.code_latent`; streams ``z``, ``y``."""
        z = self.hyper_analysis(y, quality)
        z_hat, z_likelihoods = self.run_bottleneck(z, rate)
        # For a whole batch at once: no decoder will have to follow.
        at_once = self.training or is_hurrying()
        if self.training:
            medians = self.entropy_bottleneck.quantiles.detach()[:, 0, 1]
            medians = medians.view(-1, 1, 1)
            z_hat = round_ste(z - medians) + medians
        params = self.hyper_synthesis(z_hat, quality)
        walk = self._walk_training if at_once else self._walk_batch
        y_hat, scales_hat, means_hat, symbols = walk(y, params)
        _, y_likelihoods = self.run_conditional(y, scales_hat, means_hat, rate)
        output = CodecOutput(
            y_hat,
            dict(y=y_likelihoods, z=z_likelihoods) if rate else {})
        if self.notes_symbols(y):
            output.symbols = {'z': self.bottleneck_symbols(z), 'y': symbols[0]}
        return output

    def decode_latent(self,
                      decoders: dict[str, SymbolDecoder],
                      latent_size: tuple[int, int],
                      quality: Optional[float] = None) -> Tensor:
        """See :meth:`CompressAICodec.decode_latent`."""
        z_hat = self.read_bottleneck(decoders['z'], latent_size)

        def settle(take: Take, scales_hat: Tensor,
                   means_hat: Tensor) -> Tensor:
            symbols = decoders['y'].decode(
                self.scale_indexes(scales_hat).flatten())
            return symbols.view(means_hat.shape) + means_hat

        return self.walk(self.hyper_synthesis(z_hat, quality), settle)[0]

    def _walk_training(self, y: Tensor, params: Tensor) -> tuple:

        def settle(take: Take, scales_hat: Tensor,
                   means_hat: Tensor) -> Tensor:
            return round_ste(take(y) - means_hat) + means_hat

        return *self.walk(params, settle), []

    @torch.no_grad()
    def _walk_batch(self, y: Tensor, params: Tensor) -> tuple:
        """Each image for itself, as its decoder does."""
        walked = [
            self._walk_encoding(*one)
            for one in zip(y.split(1), params.split(1))
        ]
        *latents, symbols = zip(*walked)
        return *(torch.cat(parts) for parts in latents), symbols

    def _walk_encoding(
            self, y: Tensor,
            params: Tensor) -> tuple[Tensor, Tensor, Tensor, LatentSymbols]:
        """Quantise one latent (1, M, h, w), noting symbols step by step."""
        symbols, indexes = [], []

        def settle(take: Take, scales_hat: Tensor,
                   means_hat: Tensor) -> Tensor:
            symbol = torch.round(take(y) - means_hat)
            symbols.append(symbol.int().flatten())
            indexes.append(self.scale_indexes(scales_hat).flatten())
            return symbol + means_hat

        walked = self.walk(params, settle)
        return *walked, LatentSymbols(torch.cat(symbols), torch.cat(indexes))
