"""Codecs of Minnen et al. (2018): mean-scale hyperprior, joint context."""
from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from mmhmc.functional.devices import is_estimating
from mmhmc.registry import MODELS
from .embedded import LayeredLatent, nested_noise
from .embedded_codec import select_all
from .hyperprior_codec import CodeStep, HyperpriorCodec


@MODELS.register_module()
class MeanScaleHyperprior(HyperpriorCodec):
    """Mean-scale hyperprior codec of Minnen et al. (2018), without context.

    Data flow as in :class:`ScaleHyperprior`, but ``h_a`` sees ``y`` with its
    signs, and ``h_s`` gives ``means_hat`` besides ``scales_hat``. Network,
    entropy models and weights are CompressAI's ``mbt2018-mean``. Notation:
    ``latent_channels`` is the paper's M, ``hidden_channels`` its N.

    Differences from the paper: the transforms of Ballé et al. (2018); the
    quantiles are solved for instead of learnt with an auxiliary loss.

    Reference:
        D. Minnen, J. Ballé, G. Toderici: "Joint Autoregressive and
        Hierarchical Priors for Learned Image Compression", NeurIPS 2018.
        https://arxiv.org/abs/1809.02736

    Arguments are those of :class:`CompressAICodec`.
    """

    downsampling_factor = 64
    codec_id = 'mbt2018-m'
    receptive_radius = 32
    entropy_networks = ('h_s', )

    @staticmethod
    def build_network(hidden_channels: int, latent_channels: int) -> nn.Module:
        """CompressAI's network, whose parts are taken."""
        from compressai.models import MeanScaleHyperprior as Network
        return Network(hidden_channels, latent_channels)


@MODELS.register_module()
class JointAutoregressive(HyperpriorCodec):
    """Hyperprior and serial context model of Minnen et al. (2018).

    .. code-block:: none

              ┌───┐  y                                    y_hat ┌───┐
        x ──►─┤g_a├──►─┬────────►──── GC ──►──────┬─────────────┤g_s├─► x_hat
              └───┘    │              ▲           ▼             └───┘
                       │              │        ┌──┴──┐
                       │   scales_hat │        │ CP  │ masked 5x5
                       │    means_hat │        └──┬──┘
                       │           ┌──┴──┐        │
                       │           │ EP  ├────◄───┴──◄───┐
                       │           └─────┘               │ params
                       │ ┌───┐  z           z_hat      ┌─┴─┐
                       └─┤h_a├──►──── EB ──►───────────┤h_s├
                         └───┘                         └───┘
        EB = entropy bottleneck, GC = Gaussian conditional,
        CP = context prediction, EP = entropy parameters

    Network, entropy models and weights are CompressAI's ``mbt2018``.
    Notation: ``latent_channels`` is the paper's M, ``hidden_channels`` its N.

    Differences from the paper: positions are coded along wavefronts, of which
    there are ``w + 3 (h - 1)`` instead of ``h w``; the context of each is the
    same. Evaluation follows the wavefronts, too, so that its ``y_hat`` and
    likelihoods are those of the bitstream (CompressAI's evaluation uses a
    context that its own decoder does not have). The quantiles are solved for
    instead of learnt with an auxiliary loss.

    Reference: that of :class:`MeanScaleHyperprior`.

    Args:
        hidden_channels: Channels of the transforms' hidden layers.
        latent_channels: Channels of the latent ``y``.
        **kwargs: The other arguments of :class:`CompressAICodec`.
    """

    downsampling_factor = 64
    codec_id = 'mbt2018'
    receptive_radius = 32
    autoregressive = True
    entropy_networks = ('h_s', 'context_prediction', 'entropy_parameters')

    def __init__(self,
                 hidden_channels: int = 192,
                 latent_channels: int = 192,
                 **kwargs) -> None:
        super().__init__(hidden_channels, latent_channels, **kwargs)

    @staticmethod
    def build_network(hidden_channels: int, latent_channels: int) -> nn.Module:
        """CompressAI's network, whose parts are taken."""
        from compressai.models import \
            JointAutoregressiveHierarchicalPriors as Network
        return Network(hidden_channels, latent_channels)

    def quantise_at_once(
            self,
            y: Tensor,
            params: Tensor,
            with_likelihoods: bool = True) -> tuple[Tensor, Tensor | None]:
        """See :meth:`HyperpriorCodec.quantise_at_once`; one masked pass.

        Training predicts from a latent with noise. An estimate predicts all
        positions twice: from the latent rounded to integers, then from the
        result. With the zoo's weights its bits are within 1 % of those of
        the decoder's order, the PSNR of the decoded image within 0.04 dB,
        and both images are 8 dB closer to each other than to the original.
        """
        if self.training:
            noisy = self.gaussian_conditional.quantize(y, 'noise')
            scales_hat, means_hat = self._predict(noisy, params)
            _, likelihoods = self.gaussian_conditional(
                y, scales_hat, means=means_hat)
            return self.decoded_in_training(y, noisy, means_hat), likelihoods
        y_hat = y.round()
        for _ in range(2):
            y_hat, likelihoods = self.run_conditional(
                y, *self._predict(y_hat, params), with_likelihoods)
        return y_hat, likelihoods

    def quantise_base(self, y: Tensor, params: Tensor) -> LayeredLatent:
        """See :meth:`EmbeddedCodec.quantise_base`, and quantise_at_once."""
        tables, find_rows = self.layer_tables(), self.row_finder(y.shape)
        y_base, rows = y.round(), find_rows(select_all, torch.ones_like(y))
        # Noise of one width for all needs no scales.
        is_known = isinstance(tables.widths(0, rows), int)
        for _ in range(1 if self.training and is_known else 2):
            if self.training:
                y_base = nested_noise(y, (tables.widths(0, rows), 1))[0]
            scales_hat, means_hat = self._predict(y_base, params)
            rows = find_rows(select_all, scales_hat)
            if not self.training:
                bins = tables.bins(0, (y - means_hat).round().int(), rows)
                y_base = tables.points(0, bins, rows) + means_hat
        return LayeredLatent(y_base, scales_hat, means_hat, True)

    def predict_given(self, params: Tensor,
                      y_hat: Tensor) -> tuple[Tensor, Tensor]:
        """See :meth:`EmbeddedCodec.predict_given`; one pass if none decodes.
        """
        if self.training or is_estimating():
            return self._predict(y_hat, params)
        return super().predict_given(params, y_hat)

    def _predict(self, y_hat: Tensor, params: Tensor) -> Sequence[Tensor]:
        """Scales and means of all positions, given all of ``y_hat``."""
        context = self.context_prediction(y_hat)
        return self.entropy_parameters(torch.cat((params, context),
                                                 dim=1)).chunk(2, 1)

    def run_context_model(
            self,
            params: Tensor,
            code_step: CodeStep,
            shift: float | Tensor = 0.) -> tuple[Tensor, Tensor, Tensor]:
        """See :meth:`HyperpriorCodec.run_context_model`; one image.

        Args:
            params: See there.
            code_step: See there.
            shift: Added to the context, a number or (2 M, 1).

        Returns:
            See there.
        """
        context = _Context(self, *params.shape[-2:], shift)
        predicted = []
        for row, column in context.wavefronts():
            scales_hat, means_hat = context.predict(params[0], row, column)
            context.put(
                row, column,
                code_step(
                    partial(_select, row, column), scales_hat, means_hat))
            predicted.append((row, column, scales_hat, means_hat))
        row, column, *parts = (
            torch.cat(values, dim=-1) for values in zip(*predicted))
        maps = torch.empty(
            2, *context.y_hat.shape, device=params.device, dtype=params.dtype)
        maps[:, :, row, column] = torch.stack(parts)
        return context.y_hat[None], *maps.split(1)

    def integer_layers(self, name: str) -> nn.Module:
        """See :meth:`CompressAICodec.integer_layers`."""
        if name != 'context_prediction':
            return super().integer_layers(name)
        return self.context_taps()

    def context_taps(self) -> nn.Conv2d:
        """The masked convolution as a pointwise one over its inputs.

        Its inputs are, for each channel, the taps that are not masked, in the
        order of the kernel: M * taps in all.
        """
        conv = self.context_prediction
        taps = conv.mask[0, 0].nonzero()
        weight = conv.weight.detach()[:, :, taps[:, 0], taps[:, 1]].flatten(1)
        pointwise = nn.Conv2d(
            weight.shape[1], len(weight), kernel_size=1, device='meta')
        pointwise.weight = nn.Parameter(weight[:, :, None, None], False)
        pointwise.bias = nn.Parameter(conv.bias.detach(), False)
        return pointwise


def _select(row: Tensor, column: Tensor, y: Tensor) -> Tensor:
    """Some positions of a latent of one image, shape (M, n)."""
    return y[0, :, row, column]


class _Context:
    """The part of one latent that is coded, as context of the rest.

    With a k x k masked kernel, p = k // 2, position (r, c) depends on the p
    rows above up to column c + p and on its own row left of it. So all
    positions with equal ``c + (p + 1) r`` are independent of each other.

    Encoder and decoder call the same kernels on the same shapes, which makes
    their results equal to the last bit; those of a portable codec compute in
    integers, so that theirs are equal anywhere.
    """

    def __init__(self,
                 codec: JointAutoregressive,
                 height: int,
                 width: int,
                 shift: float | Tensor = 0.) -> None:
        conv = codec.context_prediction
        self.shift = shift
        self.codec, self.height, self.width = codec, height, width
        self.border = conv.kernel_size[0] // 2
        side = self.border * 2
        self.padded = conv.weight.new_zeros(
            (codec.latent_channels, height + side, width + side))
        # Row and column of each tap that is not masked: (taps, 2).
        self.taps = conv.mask[0, 0].nonzero()
        if codec.in_integers:
            self.predict_context = codec.fixed_point('context_prediction')
            self.mix = codec.fixed_point('entropy_parameters')
        else:
            self.predict_context = codec.context_taps()
            self.mix = codec.entropy_parameters

    @property
    def y_hat(self) -> Tensor:
        """The latent, zero where it is not yet coded, (M, h, w)."""
        p = self.border
        return self.padded[:, p:p + self.height, p:p + self.width]

    def wavefronts(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Rows and columns (n,) of the positions of each step."""
        slope = self.border + 1
        for step in range(self.width + slope * (self.height - 1)):
            first = max(0, -(-(step - self.width + 1) // slope))
            last = min(self.height - 1, step // slope)
            if first > last:
                # The latent is narrower than the slope.
                continue
            row = torch.arange(first, last + 1, device=self.padded.device)
            yield row, step - slope * row

    def predict(self, params: Tensor, row: Tensor,
                column: Tensor) -> tuple[Tensor, Tensor]:
        """Scales and means, each (M, n), of some positions."""
        taps = self.padded[:, row[:, None] + self.taps[:, 0],
                           column[:, None] + self.taps[:, 1]]
        taps = taps.transpose(1, 2).flatten(0, 1)
        context = self.predict_context(taps[None, :, None])[0, :, 0]
        context = context + self.shift
        both = torch.cat((params[:, row, column], context))[None, :, None]
        scales_hat, means_hat = self.mix(both).chunk(2, 1)
        return scales_hat[0, :, 0], means_hat[0, :, 0]

    def put(self, row: Tensor, column: Tensor, values: Tensor) -> None:
        """Set some positions to ``values`` (M, n)."""
        self.padded[:, row + self.border, column + self.border] = values
