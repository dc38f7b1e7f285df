"""Search for the latent that serves best, at encode time."""
import math
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Optional

import torch
from torch import Tensor

from mmhmc.bitstream import Bitstream
from mmhmc.codecs import ImageCodec
from mmhmc.codecs.latent_search import LatentSearch
from mmhmc.codecs.streams import as_stored, use_integers
from mmhmc.functional import crop_to, extend_edges, padded_size
from mmhmc.functional.devices import device_of, estimating
from mmhmc.structures import CodingCondition
from .annealing import annealed_round, temperature_at
from .objective import FeatureReader, RefinementObjective

#: Share of the steps after which ``z`` stands still. Means of ``y`` move as
#: long as ``z`` does, and what is rounded is ``y`` less its means.
FREEZE_Z = 0.7
#: Steps for which no rounded value may change before a search ends early.
PATIENCE = 20


@dataclass(frozen=True)
class RefinedImage:
    """A coded image, and whether the search has made it better.

    Args:
        bitstream: The better one of both.
        before: Objective without the search, from real bytes.
        after: Objective with it; never above ``before``.
        steps: Steps that were taken.
    """

    bitstream: Bitstream
    before: float
    after: float
    steps: int

    @property
    def is_refined(self) -> bool:
        """Whether the bitstream is the searched one."""
        return self.after < self.before


class LatentRefinement:
    """Refines latents by annealed stochastic rounding; decoders stay.

    .. code-block:: none

        x ─► g_a, h_a ─► y, z ─► annealed rounding ─► rate ──────────┐
                          ▲           └─► g_s ─► x_hat ─► distortion ─┼─► L
                          │                        └─► features ──────┤
                          └────────────── Adam ◄─ gradient ◄──────────┘
        at the end: y, z ─► rounding ─► bitstream, as ever

    Codecs that code in steps take these steps in every iteration. A bitstream
    is never worse than without the search: the objective of both is computed
    from real bytes and the decoded image, and the better one is kept.

    Differences from the paper: ``z`` is rounded for the last 30 % of the
    steps; ``y`` is rounded around its means; no bits-back coding.

    Reference:
        Y. Yang, R. Bamler, S. Mandt: "Improving Inference for Neural Image
        Compression", NeurIPS 2020. https://arxiv.org/abs/2006.04240

    Args:
        lmbda: Weight of ``255^2 * MSE``, as the codec was trained with.
        steps: Steps of Adam, at least 1.
        lr: Learning rate in quantisation steps; None: 0.05 up to 50 steps,
            then 0.02.
        readers: Networks whose features count, e.g. a detector's.
        seed: Of the noise: a search gives the same bitstream each time.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(self,
                 lmbda: float,
                 steps: int = 30,
                 lr: Optional[float] = None,
                 readers: Sequence[FeatureReader] = (),
                 seed: int = 0) -> None:
        if not isinstance(steps, int) or steps < 1:
            raise ValueError('`steps` must be a positive integer, got '
                             f'{steps!r}.')
        lr = (0.05 if steps <= 50 else 0.02) if lr is None else lr
        for name, value in dict(lmbda=lmbda, lr=lr).items():
            if not math.isfinite(value) or value <= 0:
                raise ValueError(f'`{name}` must be positive and finite, got '
                                 f'{value!r}.')
        self.lmbda, self.steps, self.lr = lmbda, steps, lr
        self.readers, self.seed = tuple(readers), seed

    def refine(
        self,
        codec: ImageCodec,
        x: Tensor,
        condition: Optional[CodingCondition] = None,
        importance: Optional[Tensor] = None,
        on_step: Optional[Callable[[int], None]] = None,
    ) -> RefinedImage:
        """Code one image.

        Args:
            codec: In evaluation mode, with tables. It is not changed.
            x: RGB in [0, 1], shape (1, 3, H, W).
            condition: Run-time controls, for codecs that have any.
            importance: Weight of each pixel, (1, 1, H, W).
            on_step: Called after each step with its number.

        Returns:
            The bitstream, with the objective before and after.

        Raises:
            ValueError: If the codec has no latents to search for, or
                something does not fit.
        """
        if len(x) != 1:
            raise ValueError('A search is for one image of shape (1, 3, H, '
                             f'W), got {tuple(x.shape)}.')
        condition = as_stored(condition)
        objective = RefinementObjective(x, self.lmbda, self.readers,
                                        importance)
        plain, = codec.compress(x, condition)
        search = LatentSearch()
        steps = self._search(codec, objective, condition, search, on_step)
        with search.active():
            refined, = codec.compress(x, condition)
        before, after = (
            _real_objective(codec, objective, stream, condition)
            for stream in (plain, refined))
        if not after < before:
            refined, after = plain, before
        return RefinedImage(refined, before, after, steps)

    def _search(self, codec: ImageCodec, objective: RefinementObjective,
                condition: Optional[CodingCondition], search: LatentSearch,
                on_step: Optional[Callable[[int], None]]) -> int:
        """Find latents; returns the number of steps."""
        relaxation = _Annealing(self.steps, self.seed, device_of(codec))
        search.relaxation = relaxation
        run = partial(_run, codec, objective, condition)
        taken = 0
        with _coding(search):
            with torch.no_grad():
                run()
            if not search.latents:
                raise ValueError(f'{type(codec).__name__} has no latents that '
                                 'a search could change.')
            latents = [t.requires_grad_() for t in search.latents.values()]
            adam = torch.optim.Adam(latents, self.lr)
            while taken < self.steps and not relaxation.has_settled(latents):
                relaxation.begin(taken)
                gradients = torch.autograd.grad(
                    run(), latents, allow_unused=True)
                for latent, gradient in zip(latents, gradients):
                    latent.grad = gradient
                adam.step()
                taken += 1
                if on_step is not None:
                    on_step(taken)
        search.relaxation = None
        search.latents = {
            name: t.detach()
            for name, t in search.latents.items()
        }
        return taken


class _Annealing:
    """Rounding of a search: stochastic, then ``z`` and at last all rounded.

    Args:
        steps: Steps of the search.
        seed: Of the noise.
        device: Where the latents are.
    """

    def __init__(self, steps: int, seed: int, device: torch.device) -> None:
        self._steps, self._step = steps, 0
        self._generator = torch.Generator(device).manual_seed(seed)
        self._rounded: list[Tensor] = []
        self._same = 0

    def begin(self, step: int) -> None:
        """Begin a step, counted from 0."""
        self._step = step

    def __call__(self, name: str, t: Tensor) -> Tensor:
        """Round, see :data:`mmhmc.codecs.latent_search.Relaxation`."""
        if name == 'z' and self._step >= FREEZE_Z * self._steps:
            return t.detach().round()
        return annealed_round(t, temperature_at(self._step, self._steps),
                              self._generator)

    def has_settled(self, latents: Sequence[Tensor]) -> bool:
        """Whether no rounded value has changed for a while, once it is cool.
        """
        if self._step < FREEZE_Z * self._steps:
            return False
        rounded = [t.detach().round() for t in latents]
        same = len(self._rounded) == len(rounded) and all(
            map(torch.equal, rounded, self._rounded))
        self._same = self._same + 1 if same else 0
        self._rounded = rounded
        return self._same >= PATIENCE


@contextmanager
def _coding(search: LatentSearch):
    """In floating point and with gradients, by the latents of a search."""
    with search.active(), use_integers(False), estimating(), \
            torch.inference_mode(False), torch.enable_grad():
        yield


def _run(codec: ImageCodec, objective: RefinementObjective,
         condition: Optional[CodingCondition]) -> Tensor:
    """The objective of the latents of the search."""
    x = objective.x
    size = tuple(x.shape[-2:])
    padded = extend_edges(x, [size],
                          padded_size(size, codec.downsampling_factor))
    output = codec.encode_latents(padded, condition)
    bits = sum(-one.log2().sum() for one in output.likelihoods.values())
    x_hat = codec.decode_latents(output.y_hat, condition)
    return objective(bits, crop_to(x_hat, size))


@torch.no_grad()
def _real_objective(codec: ImageCodec, objective: RefinementObjective,
                    stream: Bitstream,
                    condition: Optional[CodingCondition]) -> float:
    """The objective of a file and the image that is decoded from it."""
    x_hat = codec.decompress([stream], condition)
    bits = x_hat.new_tensor(8. * codec.num_bytes(stream))
    return objective(bits, x_hat).item()
