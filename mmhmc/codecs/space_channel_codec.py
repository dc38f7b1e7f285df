"""Space-channel autoregressive codecs: groups of channels, phases of each."""
from collections.abc import Callable, Sequence
from functools import cache, partial

import torch
from torch import Tensor, nn

from .hyperprior_codec import CodeStep, HyperpriorCodec
from .layers.checkerboard import spread_phases, take_phases

#: For each step of a group of channels the phases that it codes.
Schedule = Sequence[Sequence[int]]


class SpaceChannelCodec(HyperpriorCodec):
    """A codec whose ``y`` is coded by groups of channels and by phases.

    .. code-block:: none

        groups before ──► channel_context.yK ──┐
        phases before ──► spatial_context.yK ──┼─► entropy_parameters.yK
        z_hat ──► h_s ──► params ──────────────┘   ──► scales, means

    The channels of ``y`` are divided into groups, the positions of a group
    into 2 x 2 phases (:mod:`mmhmc.codecs.layers.checkerboard`). A step codes
    some phases of one group at once, so the number of steps does not depend
    on the size of the image.

    In training ``y_hat`` and ``z_hat`` are rounded around their means, as
    they are in evaluation, and likelihoods are those of values with additive
    noise: subclasses have the quantiser ``'straight_through'``.
    """

    autoregressive = True
    #: What enters ``entropy_parameters``, in the order of its channels.
    context_order: tuple[str, ...] = ('spatial', 'channel', 'params')
    #: Whether ``params`` enters the channel contexts, before other groups.
    channels_see_params: bool = False

    #: Channels of each group, in coding order; they sum to those of ``y``.
    groups: tuple[int, ...]
    #: For each group the phases of each step.
    schedule: Sequence[Schedule]

    @property
    def entropy_networks(self) -> tuple[str, ...]:
        """See :attr:`CompressAICodec.entropy_networks`."""
        names = ['h_s']
        for part in ('channel_context', 'spatial_context',
                     'entropy_parameters'):
            for key, network in self.get_submodule(part).items():
                if isinstance(network, nn.ModuleList):
                    names += [f'{part}.{key}.{j}' for j in range(len(network))]
                else:
                    names.append(f'{part}.{key}')
        return tuple(names)

    def run_context_model(
            self, params: Tensor,
            code_step: CodeStep) -> tuple[Tensor, Tensor, Tensor]:
        """See :meth:`HyperpriorCodec.run_context_model`."""
        # Groups share the phases of the hyperprior's parameters.
        params_of = cache(partial(take_phases, params))
        coded, before = [], [params] if self.channels_see_params else []
        for k in range(len(self.groups)):
            channel = None
            if before:
                channel = self.run_entropy_network(f'channel_context.y{k}',
                                                   torch.cat(before, dim=1))
            coded.append(self._code_group(k, params_of, channel, code_step))
            before.append(coded[-1][0])
        return tuple(torch.cat(parts, dim=1) for parts in zip(*coded))

    def _code_group(self, k: int, params_of: Callable[[Sequence[int]], Tensor],
                    channel: Tensor | None,
                    code_step: CodeStep) -> tuple[Tensor, Tensor, Tensor]:
        """``y_hat``, scales and means (B, g, h, w) of group ``k``.

        ``params_of`` gives phases of the parameters from ``h_s``, ``channel``
        is the group's channel context, (B, 2 g, h, w).
        """
        y_hat = both = 0
        for step, phases in enumerate(self.schedule[k]):
            known = dict(params=params_of(phases))
            if channel is not None:
                known['channel'] = take_phases(channel, phases)
            if step:
                known['spatial'] = take_phases(
                    self._spatial_context(k, step, y_hat), phases)
            elif len(self.schedule[k]) > 1:
                # No position of the group is known yet.
                batch, _, *size = known['params'].shape
                known['spatial'] = known['params'].new_zeros(
                    batch, 2 * self.groups[k], *size)
            contexts = [known[n] for n in self.context_order if n in known]
            here = self.run_entropy_network(
                f'entropy_parameters.y{k}',
                torch.cat(contexts, dim=1).contiguous())
            values = code_step(
                partial(self._select, k, phases), *here.chunk(2, dim=1))
            y_hat = y_hat + spread_phases(values, phases)
            both = both + spread_phases(here, phases)
        return y_hat, *both.chunk(2, dim=1)

    def _spatial_context(self, k: int, step: int, y_hat: Tensor) -> Tensor:
        """Prediction from the phases of the steps before, (B, 2 g, h, w)."""
        name = f'spatial_context.y{k}'
        if isinstance(self.get_submodule(name), nn.ModuleList):
            name = f'{name}.{step - 1}'
        return self.run_entropy_network(name, y_hat)

    def _select(self, k: int, phases: Sequence[int], y: Tensor) -> Tensor:
        """Elements of some phases of one group."""
        return take_phases(y.split(self.groups, dim=1)[k], phases)


def channel_context(
    in_channels: int,
    hidden_channels: tuple[int, int],
    out_channels: int,
    last_kernel: int = 5,
    activation: Callable[[], nn.Module] = partial(nn.ReLU, inplace=True)
) -> nn.Sequential:
    """Three convolutions: "g_ch" of He et al. (2022)."""
    first, second = hidden_channels
    return nn.Sequential(
        nn.Conv2d(in_channels, first, 5, padding=2), activation(),
        nn.Conv2d(first, second, 5, padding=2), activation(),
        nn.Conv2d(second, out_channels, last_kernel, padding=last_kernel // 2))
