"""Multi-realism codec of Agustsson et al. (2023): realism at decoding."""
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from mmhmc.registry import MODELS
from mmhmc.structures import CodingCondition, Condition
from .elic import elic_network
from .hyperprior_codec import CodeStep, HyperpriorCodec
from .layers import Transform
from .space_channel_codec import channel_context

#: Realism lies between these; 0 is the closest to the original.
BETA_RANGE = (0., 5.12)
#: Frequencies 1, 2, 4, ... of the features of ``beta``.
NUM_FREQUENCIES = 10


@MODELS.register_module()
class MRIC(HyperpriorCodec):
    """Multi-realism codec: one bitstream, more or less realism.

    .. code-block:: none

              ┌───┐  y                     y_hat     ┌───┐
        x ──►─┤g_a├──►─┬─────►──── GC ──►── + ──┬──►─┤g_s├──► x_hat
              └───┘    │            ▲       ▲   │    └─┬─┘
                       │ scales_hat │       │   │      ▲ shifts
                       │  means_hat │     ┌─┴─┐ │   ┌──┴──┐
                       │         ┌──┴──┐  │LRP├─┤   │ MLP │◄── beta
                       │         │ CC  ├──└───┘ │   └─────┘
                       │         └──┬──┴────◄───┘
                       │ ┌───┐  z   │ params    ┌───┐
                       └─┤h_a├──►── EB ──►──────┤h_s├
                         └───┘          z_hat   └───┘
        EB = entropy bottleneck, GC = Gaussian conditional, CC = channel
        context: slices before this one, LRP = latent residual prediction

    Transforms are those of ELIC, and the channels of ``y`` are coded slice by
    slice, as in Minnen and Singh (2020). Each residual block of the
    synthesis adds a vector to its channels after each of its convolutions,
    which depends on ``beta``: the weight of realism in training. In decoding
    :class:`~mmhmc.structures.CodingCondition` gives it; it is 0 if left out.
    Encoder and bitstream do not depend on it.

    Not all details of Agustsson et al. are public. Chosen here:
    features of ``beta`` are ``beta`` itself and its sines and cosines at ten
    frequencies 1 to 512; two layers with ReLU make an embedding of them, and
    linear maps without a bias make the vectors; scales, means and residuals
    of a slice are each predicted from the part of the hyper-latent's
    parameters that belongs to the slice, and from all slices before it; the
    last layer of the hyper-synthesis has no activation. There are no
    published weights to compare with. Quantiles are solved for instead of
    learnt, training rounds with a straight-through gradient.

    Reference:
        E. Agustsson, D. Minnen, G. Toderici, F. Mentzer: "Multi-Realism Image
        Compression with a Conditional Generator", CVPR 2023.
        https://arxiv.org/abs/2212.13824
        D. Minnen, S. Singh: "Channel-wise Autoregressive Entropy Models for
        Learned Image Compression", ICIP 2020.
        https://arxiv.org/abs/2007.08739

    Args:
        hidden_channels: Channels of the transforms' hidden layers, at least
            2.
        latent_channels: Channels of the latent ``y``, at least 2.
        hyper_channels: Channels of the hyper-latent ``z``.
        num_slices: Steps in which ``y`` is coded; divides
            ``latent_channels``.
        context_channels: Hidden channels of the networks that predict
            scales, means and residuals.
        embedding_channels: Width of the embedding of ``beta``.
        **kwargs: ``portable`` and ``init_cfg`` of :class:`CompressAICodec`.

    Raises:
        ValueError: If a channel count is too small, or the slices do not
            divide the latent.
    """

    downsampling_factor = 64
    codec_id = 'mric'
    receptive_radius = 144
    hidden_maps = 4
    autoregressive = True
    controls = ('quality', 'beta')

    def __init__(self,
                 hidden_channels: int = 256,
                 latent_channels: int = 320,
                 hyper_channels: int = 192,
                 num_slices: int = 10,
                 context_channels: tuple[int, int] = (224, 128),
                 embedding_channels: int = 512,
                 **kwargs) -> None:
        self.hyper_channels = hyper_channels
        self.num_slices = num_slices
        self.context_channels = tuple(context_channels)
        self.embedding_channels = embedding_channels
        super().__init__(
            hidden_channels,
            latent_channels,
            quantiser='straight_through',
            **kwargs)

    def build_network(self, hidden_channels: int,
                      latent_channels: int) -> nn.Module:
        """All parts, by the names used here."""
        from compressai.entropy_models import (EntropyBottleneck,
                                               GaussianConditional)
        if min(self.hyper_channels, self.embedding_channels) < 1:
            raise ValueError(
                '`hyper_channels` and `embedding_channels` must be positive, '
                f'got {self.hyper_channels} and {self.embedding_channels}.')
        if self.num_slices < 1 or latent_channels % self.num_slices:
            raise ValueError(
                '`num_slices` must be positive and divide `latent_channels`, '
                f'got {self.num_slices} and {latent_channels}.')
        network = elic_network(hidden_channels, latent_channels,
                               [latent_channels])
        width = self.embedding_channels
        g_s = Transform(*(ConditionalBlock(layer, width) if hasattr(
            layer, 'conv3') else layer for layer in network.g_s))
        h_a, h_s = _hyper_transforms(latent_channels, hidden_channels,
                                     self.hyper_channels)
        return nn.ModuleDict(
            dict(
                g_a=network.g_a,
                g_s=g_s,
                h_a=h_a,
                h_s=h_s,
                entropy_bottleneck=EntropyBottleneck(self.hyper_channels),
                gaussian_conditional=GaussianConditional(None),
                scale_context=self._contexts(latent_channels, 1),
                mean_context=self._contexts(latent_channels, 1),
                residual_context=self._contexts(latent_channels, 2, nn.Tanh()),
                beta_embedding=nn.Sequential(
                    nn.Linear(1 + 2 * NUM_FREQUENCIES, width), nn.ReLU(),
                    nn.Linear(width, width), nn.ReLU())))

    def _contexts(self, latent_channels: int, own: int, *last:
                  nn.Module) -> nn.ModuleDict:
        """A network for each slice, over ``own`` more than those before it."""
        width = latent_channels // self.num_slices
        return nn.ModuleDict({
            f'y{k}':
            channel_context(
                (k + own) * width, self.context_channels, width,
                last_kernel=3).extend(last)
            for k in range(self.num_slices)
        })

    @property
    def entropy_networks(self) -> tuple[str, ...]:
        """See :attr:`CompressAICodec.entropy_networks`."""
        return ('h_s', *(f'{part}_context.y{k}'
                         for part in ('scale', 'mean', 'residual')
                         for k in range(self.num_slices)))

    def run_context_model(
            self, params: Tensor,
            code_step: CodeStep) -> tuple[Tensor, Tensor, Tensor]:
        """See :meth:`HyperpriorCodec.run_context_model`; slice by slice."""
        width = self.latent_channels // self.num_slices
        hyper_scales, hyper_means = (
            half.split(width, dim=1) for half in params.chunk(2, dim=1))
        coded, scales, means = [], [], []
        for k in range(self.num_slices):
            seen = torch.cat((hyper_means[k], *coded), dim=1)
            scales_hat = self.run_entropy_network(
                f'scale_context.y{k}',
                torch.cat((hyper_scales[k], *coded), dim=1).contiguous())
            means_hat = self.run_entropy_network(f'mean_context.y{k}',
                                                 seen.contiguous())
            values = code_step(
                partial(_take_slice, k, width), scales_hat, means_hat)
            residual = self.run_entropy_network(
                f'residual_context.y{k}',
                torch.cat((seen, values), dim=1).contiguous())
            # The error of rounding is half a step at most.
            coded.append((values + 0.5 * residual).contiguous())
            scales.append(scales_hat)
            means.append(means_hat)
        return tuple(
            torch.cat(parts, dim=1) for parts in (coded, scales, means))

    def decode_latents(self,
                       y_hat: Tensor,
                       condition: Condition = None) -> Tensor:
        """See :meth:`ImageCodec.decode_latents` and :meth:`beta_of`."""
        self.check_condition(condition)
        weight = self.beta_embedding[0].weight
        features = beta_features(self.beta_of(condition)).to(
            weight, non_blocking=True)
        return self._decode(
            y_hat,
            self.controls_of(condition),
            embedding=self.beta_embedding(features))

    def beta_of(self, condition: Condition) -> float:
        """Realism that a condition asks for; 0 if it does not.

        From closest to the original, 0, to most realistic, 5.12.

        Raises:
            ValueError: If it is outside, or the condition has another
                control.
        """
        if condition is None:
            return 0.
        known = ('beta', 'quality') if self.variable_rate else ('beta', )
        if replace(condition, **dict.fromkeys(known)) != CodingCondition():
            raise ValueError(f'{type(self).__name__} has no run-time control '
                             f'but `{"`, `".join(known)}`, got {condition}.')
        beta = 0. if condition.beta is None else condition.beta
        if not BETA_RANGE[0] <= beta <= BETA_RANGE[1]:
            raise ValueError('`condition.beta` is the weight of realism and '
                             f'must be in {list(BETA_RANGE)}, got {beta}.')
        return float(beta)

    def check_images(self, x: Tensor, condition: Condition) -> None:
        """See :meth:`ImageCodec.check_images`; ``beta`` is allowed."""
        self.beta_of(condition)
        super().check_images(x, condition if self.variable_rate else None)


class ConditionalBlock(nn.Module):
    """Residual bottleneck block that adds a given vector to its channels.

    Args:
        block: CompressAI's block, whose layers it takes.
        embedding_channels: Channels of the embedding that makes the vectors.
    """

    controls = ('embedding', )

    def __init__(self, block: nn.Module, embedding_channels: int) -> None:
        super().__init__()
        for name in ('conv1', 'conv2', 'conv3'):
            conv = getattr(block, name)
            self.add_module(name, conv)
            self.add_module(
                name.replace('conv', 'shift'),
                nn.Linear(embedding_channels, conv.out_channels, bias=False))

    def forward(self, x: Tensor, embedding: Tensor | None = None) -> Tensor:
        """Shape (B, C, H, W) to the same, by an embedding (1, E) or none."""
        out = self._shift(self.conv1(x).relu(), self.shift1, embedding)
        out = self._shift(self.conv2(out).relu(), self.shift2, embedding)
        return x + self._shift(self.conv3(out), self.shift3, embedding)

    @staticmethod
    def _shift(x: Tensor, shift: nn.Linear,
               embedding: Tensor | None) -> Tensor:
        if embedding is None:
            return x
        return x + shift(embedding)[..., None, None]


def beta_features(beta: float) -> Tensor:
    """``beta``, its sines and its cosines, shape (1, 21), float32."""
    angles = beta * 2.**torch.arange(NUM_FREQUENCIES)
    return torch.cat((torch.tensor([beta]), angles.sin(), angles.cos()))[None]


def _take_slice(k: int, width: int, y: Tensor) -> Tensor:
    return y[:, k * width:(k + 1) * width]


def _hyper_transforms(latent_channels: int, hidden_channels: int,
                      hyper_channels: int) -> Sequence[nn.Sequential]:
    """``h_a`` and ``h_s`` of Minnen and Singh (2020)."""
    h_a = nn.Sequential(
        nn.Conv2d(latent_channels, latent_channels, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(latent_channels, hidden_channels, 5, stride=2, padding=2),
        nn.ReLU(inplace=True),
        nn.Conv2d(
            hidden_channels,
            hyper_channels,
            5,
            stride=2,
            padding=2,
            bias=False))
    twice = dict(kernel_size=5, stride=2, padding=2, output_padding=1)
    h_s = nn.Sequential(
        nn.ConvTranspose2d(hyper_channels, hyper_channels, **twice),
        nn.ReLU(inplace=True),
        nn.ConvTranspose2d(hyper_channels, hidden_channels, **twice),
        nn.ReLU(inplace=True),
        nn.Conv2d(hidden_channels, 2 * latent_channels, 3, padding=1))
    return h_a, h_s
