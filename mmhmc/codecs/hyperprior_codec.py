"""Codecs with a hyperprior: ``y`` is coded in one step, or in several."""
from collections.abc import Callable

import torch
from torch import Tensor

from mmhmc.bitstream import SymbolDecoder
from mmhmc.functional.devices import is_estimating
from mmhmc.functional.rounding import round_ste
from mmhmc.structures import CodecOutput, LatentSymbols
from .embedded_codec import CodeStep, EmbeddedCodec, Select
from .latent_search import relaxation, searched
from .layers.gain import Quality


class HyperpriorCodec(EmbeddedCodec):
    """A codec whose ``y`` is Gaussian, given a hyper-latent ``z``.

    .. code-block:: none

        y ──► h_a ──► EB ──► z_hat ──► h_s ──► params ──► context model
        │                                                  │ scales, means
        └───────────► round, encode, decode ◄──────────────┘ of each step
                      EB = entropy bottleneck

    Without a context model ``y`` is coded in one step. An autoregressive
    codec overrides :meth:`run_context_model`: each of its steps is predicted
    from ``y_hat`` of all steps before it.

    Training, encoder and decoder run the same steps and differ in the
    function that codes a step: it rounds with a straight-through gradient,
    rounds and records symbols, or decodes symbols. So the decoder's
    ``y_hat`` equals the encoder's to the last bit, one image at a time.
    """

    def run_context_model(
            self, params: Tensor,
            code_step: CodeStep) -> tuple[Tensor, Tensor, Tensor]:
        """See :meth:`EmbeddedCodec.run_context_model`; one step."""
        scales_hat, means_hat = params.chunk(2, dim=1)
        y_hat = code_step(lambda y: y, scales_hat, means_hat)
        return y_hat, scales_hat, means_hat

    def hyper_analysis(self,
                       y: Tensor,
                       quality: Quality | None = None) -> Tensor:
        """Latent (B, M, h, w) to ``z``, at a quality if there are several."""
        z = self.run_hyper_analysis(y, quality=quality)
        return self.scale(z, 'hyper_gain', quality)

    def hyper_synthesis(self,
                        z_hat: Tensor,
                        quality: Quality | None = None) -> Tensor:
        """``z_hat`` to ``params``, at a quality if there are several."""
        z_hat = self.scale(z_hat, 'inverse_hyper_gain', quality)
        return self.run_entropy_network('h_s', z_hat, quality=quality)

    def quantise_latent(self,
                        y: Tensor,
                        with_likelihoods: bool = True,
                        quality: Quality | None = None) -> CodecOutput:
        """See :meth:`CompressAICodec.quantise_latent`; streams ``z``, ``y``.
        """
        y = searched('y', lambda y=y: self.scale(y, 'gain', quality))
        z = searched('z', lambda: self.hyper_analysis(y, quality))
        z_hat, z_likelihoods = self.run_bottleneck(z, with_likelihoods)
        output = self.quantise_given(
            self.hyper_synthesis(z_hat, quality), y, with_likelihoods)
        if with_likelihoods:
            output.likelihoods['z'] = z_likelihoods
        if self.needs_symbols(y):
            output.symbols['z'] = self.bottleneck_symbols(z)
        return output

    def quantise_given(self, params: Tensor, y: Tensor,
                       with_likelihoods: bool) -> CodecOutput:
        """Quantise ``y`` where the hyper-latent is known.

        Args:
            params: From ``h_s``, shape (B, P, h, w).
            y: Shape (B, M, h, w).
            with_likelihoods: False leaves them out.

        Returns:
            Output without what ``z`` adds.
        """
        if self.layers:
            return self.quantise_in_layers(params, y, with_likelihoods)
        steps = []
        if relaxation() is not None:
            y_hat, likelihoods = self._quantise_relaxed(y, params)
        elif self.training or is_estimating():
            y_hat, likelihoods = self.quantise_at_once(y, params,
                                                       with_likelihoods)
        else:
            y_hat, scales_hat, means_hat, steps = self._quantise_each(
                y, params, self._quantise_one)
            _, likelihoods = self.run_conditional(y, scales_hat, means_hat,
                                                  with_likelihoods)
        output = CodecOutput(y_hat)
        if with_likelihoods:
            output.likelihoods['y'] = likelihoods
        if self.needs_symbols(y):
            output.symbols['y'] = self._join_steps(steps)
        return output

    def quantise_at_once(
            self,
            y: Tensor,
            params: Tensor,
            with_likelihoods: bool = True) -> tuple[Tensor, Tensor | None]:
        """Quantise a whole batch that no decoder will have to follow.

        In training, with gradients, and for
        :meth:`ImageCodec.estimate_latents`.

        Args:
            y: Shape (B, M, h, w).
            params: From ``h_s``, shape (B, P, h, w).
            with_likelihoods: False leaves them out.

        Returns:
            ``y_hat`` and its likelihoods, both (B, M, h, w).
        """

        def round_step(select: Select, scales_hat: Tensor,
                       means_hat: Tensor) -> Tensor:
            return round_ste(select(y) - means_hat) + means_hat

        y_hat, scales_hat, means_hat = self.run_context_model(
            params, round_step)
        noisy, likelihoods = self.run_conditional(y, scales_hat, means_hat,
                                                  with_likelihoods)
        # The noise that is decoded is the one whose rate is counted.
        return noisy if self.quantiser == 'noise' else y_hat, likelihoods

    def _quantise_relaxed(self, y: Tensor,
                          params: Tensor) -> tuple[Tensor, Tensor]:
        """Quantise one latent for a search, step by step, with gradients.

        Returns:
            ``y_hat``, and likelihoods in the order of coding, shape (1, n).
        """
        likelihoods, relax = [], relaxation()

        def relax_step(select: Select, scales_hat: Tensor,
                       means_hat: Tensor) -> Tensor:
            values = relax('y', select(y) - means_hat) + means_hat
            likelihoods.append(
                self.conditional_likelihoods(values, scales_hat,
                                             means_hat).flatten())
            return values

        y_hat = self.run_context_model(params, relax_step)[0]
        return y_hat, torch.cat(likelihoods)[None]

    def _quantise_each(self, y: Tensor, params: Tensor,
                       quantise_one: Callable) -> tuple:
        """``y_hat``, scales, means, and what was recorded of the first
        image's steps, image after image, as the decoder does.
        """
        gradients = torch.is_grad_enabled() and not self.autoregressive
        with torch.set_grad_enabled(gradients):
            coded = [
                quantise_one(*one) for one in zip(y.split(1), params.split(1))
            ]
        *latents, steps = zip(*coded)
        return *(torch.cat(parts) for parts in latents), steps[0]

    def _quantise_one(self, y: Tensor, params: Tensor) -> tuple:
        steps = []

        def record_step(select: Select, scales_hat: Tensor,
                        means_hat: Tensor) -> Tensor:
            symbols = torch.round(select(y) - means_hat)
            steps.append((symbols.flatten(), scales_hat.flatten()))
            return symbols + means_hat

        return *self.run_context_model(params, record_step), steps

    def _join_steps(self, steps: list[tuple[Tensor, Tensor]]) -> LatentSymbols:
        """The symbols of all steps, with the table of each."""
        symbols, scales_hat = (torch.cat(parts) for parts in zip(*steps))
        return LatentSymbols(symbols.int(), self.scale_indexes(scales_hat))

    def decode_latent(self,
                      decoders: dict[str, SymbolDecoder],
                      latent_size: tuple[int, int],
                      quality: float | None = None) -> Tensor:
        """See :meth:`CompressAICodec.decode_latent`."""
        z_hat = self.read_bottleneck(decoders['z'], latent_size)
        return self.decode_given(
            self.hyper_synthesis(z_hat, quality), decoders)

    def decode_given(self, params: Tensor,
                     decoders: dict[str, SymbolDecoder]) -> Tensor:
        """Decode ``y_hat`` where the hyper-latent is known.

        Args:
            params: From ``h_s``, shape (1, P, h, w).
            decoders: A decoder for each named stream.

        Returns:
            Shape (1, M, h, w).
        """
        if self.layers:
            return self.decode_layers(params, decoders)
        decoder = decoders['y']

        def decode_step(select: Select, scales_hat: Tensor,
                        means_hat: Tensor) -> Tensor:
            symbols = decoder.decode(self.scale_indexes(scales_hat).flatten())
            return symbols.view(means_hat.shape) + means_hat

        return self.run_context_model(params, decode_step)[0]
