"""Search for the latent that serves best, at encode time."""
import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

import torch
from torch import Tensor

from mmhmc.bitstream import Bitstream
from mmhmc.codecs import ImageCodec
from mmhmc.codecs.latent_search import LatentSearch
from mmhmc.codecs.streams import as_stored
from mmhmc.codecs.variable_rate import what_adapters_know
from mmhmc.functional.devices import device_of
from mmhmc.functional.rounding import round_ste
from mmhmc.registry import MODELS, build_part
from mmhmc.structures import Condition
from .annealing import annealed_round, temperature_at
from .exchange_rate import exchange_rate
from .objective import FeatureReader, RefinementObjective
from .trial_coding import encode_and_decode, searching

#: Share of the steps after which ``z`` stands still. Means of ``y`` move as
#: long as ``z`` does, and what is rounded is ``y`` less its means.
FREEZE_Z = 0.7
#: The same for all latents of a codec that predicts ``y`` from what is decoded
#: before it. Predictions from values that are not quite rounded would not be
#: those of the decoder, and what follows would round otherwise.
ROUND_SERIAL = 0.3
#: Steps for which no rounded value may change before a search ends early.
PATIENCE = 20
#: Adam forgets quickly, for a search is short.
_BETAS = (0.9, 0.99)
#: Gradients below this part of their root mean square make small steps.
_DAMPING = 0.3
#: Share of readers, if there are any and nothing is said.
DEFAULT_TASK_WEIGHT = 0.5
#: dB by which a search stays above the least PSNR, for rounding at its end.
_FLOOR_MARGIN = 0.02


@dataclass(frozen=True)
class RefinedImage:
    """A coded image, and whether the search has made it better.

    Args:
        bitstream: The better one of both.
        before: Objective without the search, from real bytes.
        after: Objective with it; never above ``before``.
        steps: Steps that were taken.
        lmbda: Weight of what is lost beside the rate.
        num_bytes_before: Bytes without the search.
        latents: What is coded, by name, see
            :class:`~mmhmc.codecs.latent_search.LatentSearch`; empty if
            nothing better was found.
    """

    bitstream: Bitstream
    before: float
    after: float
    steps: int
    lmbda: float
    num_bytes_before: int
    latents: dict[str, Tensor] = field(default_factory=dict, repr=False)

    @property
    def is_refined(self) -> bool:
        """Whether the bitstream is the searched one."""
        return self.after < self.before

    def summary(self) -> dict:
        """All but bitstream and latents, for JSON."""
        return dict(
            is_refined=self.is_refined,
            before=self.before,
            after=self.after,
            steps=self.steps,
            lmbda=self.lmbda,
            num_bytes_before=self.num_bytes_before)


@MODELS.register_module()
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
    steps; ``y`` is rounded around its means; the temperature falls from the
    beginning; values with small gradients make small steps; codecs that
    predict ``y`` from itself see it rounded early; no bits-back coding.

    Reference:
        Y. Yang, R. Bamler, S. Mandt: "Improving Inference for Neural Image
        Compression", NeurIPS 2020. https://arxiv.org/abs/2006.04240

    Args:
        lmbda: Weight of what is lost beside the rate, of ``255^2 * MSE``, as
            the codec was trained with; None measures it at each image, see
            :func:`exchange_rate`.
        steps: Steps of Adam, at least 1.
        lr: Learning rate in quantisation steps; None chooses by the steps.
        readers: Networks whose features count, e.g. of a detector, or their
            configs; see :class:`FeatureReader`.
        task_weight: From 0, for people, to 1, for the readers alone; see
            :class:`RefinementObjective`.
        importance: Gives the weight of each pixel, (1, 1, H, W), of an image
            (1, 3, H, W); or its config. None: all pixels alike.
        max_psnr_loss: PSNR in dB that may be lost at most; a bitstream that
            loses more is not taken. None: what the objective says.
        seed: Of the noise: a search gives the same bitstream each time.
        machine_layers: Of a codec with ``layers``, how many of them the
            readers see; bits and distortion are those of all layers. None:
            readers see all of them.

    Raises:
        ValueError: If an argument is out of range, or is about ``readers``
            and there are none.
    """

    def __init__(self,
                 lmbda: Optional[float] = None,
                 steps: int = 30,
                 lr: Optional[float] = None,
                 readers: Sequence[FeatureReader | dict] = (),
                 task_weight: Optional[float] = None,
                 importance: Callable | dict | None = None,
                 max_psnr_loss: Optional[float] = None,
                 seed: int = 0,
                 machine_layers: Optional[int] = None) -> None:
        if not isinstance(steps, int) or steps < 1:
            raise ValueError('`steps` must be a positive integer, got '
                             f'{steps!r}.')
        for name, value in dict(lmbda=lmbda, lr=lr).items():
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f'`{name}` must be positive and finite, got '
                                 f'{value!r}.')
        if max_psnr_loss is not None and not 0 <= max_psnr_loss < math.inf:
            raise ValueError('`max_psnr_loss` must be a number of dB, 0 or '
                             f'more, got {max_psnr_loss!r}.')
        self.readers = tuple(build_part(one) for one in readers)
        if task_weight is not None and not self.readers:
            raise ValueError('`task_weight` is the share of `readers`, and '
                             'there are none.')
        if machine_layers is not None:
            if not isinstance(machine_layers, int) or machine_layers < 1:
                raise ValueError('`machine_layers` must be a positive integer,'
                                 f' got {machine_layers!r}.')
            if not self.readers:
                raise ValueError('`machine_layers` is what `readers` see, and '
                                 'there are none.')
        self.machine_layers = machine_layers
        share = DEFAULT_TASK_WEIGHT if task_weight is None else task_weight
        if not 0 <= share <= 1:
            raise ValueError('`task_weight` must be in [0, 1], got '
                             f'{task_weight!r}.')
        self.task_weight = share if self.readers else 0.
        self.lmbda, self.steps, self.seed = lmbda, steps, seed
        self.lr = lr
        self.importance = build_part(importance)
        self.max_psnr_loss = max_psnr_loss

    def refine(
        self,
        codec: ImageCodec,
        x: Tensor,
        condition: Condition = None,
        importance: Optional[Tensor] = None,
        on_step: Optional[Callable[[int], None]] = None,
    ) -> RefinedImage:
        """Code one image.

        Args:
            codec: In evaluation mode, with tables. It is not changed.
            x: RGB in [0, 1], shape (1, 3, H, W).
            condition: Run-time controls, for codecs that have any.
            importance: Weight of each pixel, (1, 1, H, W), in place of that
                of the class.
            on_step: Called after each step with its number.

        Returns:
            The better bitstream, with the objective before and after.

        Raises:
            ValueError: If the codec has no latents to search for, or
                something does not fit.
        """
        condition = as_stored(condition)
        self._check(codec, x)
        plain, = codec.compress(x, condition)
        x_plain = codec.decompress([plain], condition)
        objective = self._objective(codec, x, condition, importance, x_plain)
        found, steps, latents = self._search(codec, objective, condition,
                                             on_step)
        x_hat = codec.decompress([found], condition)
        before, after = (
            self._real_objective(codec, objective, condition, *one)
            for one in ((plain, x_plain), (found, x_hat)))
        if not after < before or self._lost(x, x_plain, x_hat):
            found, after, latents = plain, before, {}
        return RefinedImage(found, before, after, steps, objective.lmbda,
                            codec.num_bytes(plain), latents)

    def search(self,
               codec: ImageCodec,
               x: Tensor,
               condition: Condition = None,
               importance: Optional[Tensor] = None) -> Bitstream:
        """Code one image by what the search finds, better or not.

        For who compares in another way, e.g. at a given rate; the arguments
        are those of :meth:`refine`.
        """
        condition = as_stored(condition)
        self._check(codec, x)
        x_plain = None
        if self.max_psnr_loss is not None:
            x_plain = codec.decompress(codec.compress(x, condition), condition)
        objective = self._objective(codec, x, condition, importance, x_plain)
        return self._search(codec, objective, condition)[0]

    def with_lmbda(self, lmbda: float) -> 'LatentRefinement':
        """The same with another weight of what is lost."""
        other = copy.copy(self)
        other.lmbda = lmbda
        return other

    def settings(self) -> dict:
        """All that decides a search beside image and codec, for JSON."""
        result = dict(
            steps=self.steps, lr=self.lr, lmbda=self.lmbda, seed=self.seed)
        if self.readers:
            result.update(
                task_weight=self.task_weight,
                readers=[_settings_of(one) for one in self.readers])
        if self.machine_layers is not None:
            result['machine_layers'] = self.machine_layers
        if self.importance is not None:
            result['importance'] = _settings_of(self.importance)
        if self.max_psnr_loss is not None:
            result['max_psnr_loss'] = self.max_psnr_loss
        return result

    def _objective(self, codec: ImageCodec, x: Tensor, condition: Condition,
                   importance: Optional[Tensor],
                   x_plain: Optional[Tensor]) -> RefinementObjective:
        if importance is None and self.importance is not None:
            importance = self.importance(x)
        least = None
        if self.max_psnr_loss is not None:
            least = _psnr(x, x_plain) - self.max_psnr_loss + _FLOOR_MARGIN
        lmbda = self.lmbda
        if lmbda is None:
            lmbda = exchange_rate(codec, x, condition)
        controls = what_adapters_know(codec, condition)
        readers = [
            one.under(controls) if hasattr(one, 'under') else one
            for one in self.readers
        ]
        return RefinementObjective(x, lmbda, readers, importance,
                                   self.task_weight, least)

    def _check(self, codec: ImageCodec, x: Tensor) -> None:
        """Refuse a batch, and a codec without the layers of the readers."""
        if x.ndim != 4 or len(x) != 1:
            raise ValueError('A search is for one image of shape (1, 3, H, '
                             f'W), got {tuple(x.shape)}.')
        count = len(codec.layers) + 1
        if self.machine_layers is not None and self.machine_layers > count:
            raise ValueError(f'The readers see {self.machine_layers} layers, '
                             f'and {type(codec).__name__} writes {count}; '
                             'build it with `layers`, e.g. `layers=[3]`.')

    @torch.no_grad()
    def _real_objective(self, codec: ImageCodec,
                        objective: RefinementObjective, condition: Condition,
                        stream: Bitstream, x_hat: Tensor) -> float:
        """The objective of a file and the image that is decoded from it."""
        bits, seen = x_hat.new_tensor(8. * codec.num_bytes(stream)), None
        if self.machine_layers is not None:
            seen = codec.decompress([stream],
                                    condition,
                                    layers=self.machine_layers)
        return objective(bits, x_hat, seen).item()

    def _lost(self, x: Tensor, x_plain: Tensor, x_hat: Tensor) -> bool:
        """Whether more PSNR is lost than may be."""
        return self.max_psnr_loss is not None and \
            _psnr(x, x_plain) - _psnr(x, x_hat) > self.max_psnr_loss

    def _search(
        self,
        codec: ImageCodec,
        objective: RefinementObjective,
        condition: Condition,
        on_step: Optional[Callable[[int], None]] = None
    ) -> tuple[Bitstream, int, dict[str, Tensor]]:
        """Code what is found; also the number of steps, and the latents."""
        search = LatentSearch()
        is_serial = getattr(codec, 'autoregressive', False)
        relaxation = _Annealing(self.steps, self.seed, device_of(codec),
                                ROUND_SERIAL if is_serial else 1.)
        search.relaxation = relaxation
        with searching(search):
            taken = self._take_steps(codec, objective, condition, relaxation,
                                     search, on_step)
        search.relaxation = None
        search.latents = {
            name: t.detach()
            for name, t in search.latents.items()
        }
        with search.active():
            found, = codec.compress(objective.x, condition)
        return found, taken, search.latents

    def _take_steps(self, codec: ImageCodec, objective: RefinementObjective,
                    condition: Condition, relaxation: '_Annealing',
                    search: LatentSearch,
                    on_step: Optional[Callable[[int], None]]) -> int:
        x, taken = objective.x, 0
        with torch.no_grad():
            encode_and_decode(codec, x, condition)
        if not search.latents:
            raise ValueError(f'{type(codec).__name__} has no latents that '
                             'a search could change.')
        latents = [t.requires_grad_() for t in search.latents.values()]
        lr = self.lr or default_lr(self.steps, relaxation.rounds)
        adam = torch.optim.Adam(latents, lr, betas=_BETAS)
        while taken < self.steps and not relaxation.has_settled(latents):
            relaxation.begin(taken)
            loss = objective(*encode_and_decode(
                codec, x, condition, self.machine_layers, quickly=True))
            gradients = torch.autograd.grad(loss, latents, allow_unused=True)
            for latent, gradient in zip(latents, gradients):
                latent.grad = gradient
            if not taken:
                _damp(adam)
            adam.step()
            taken += 1
            if on_step is not None:
                on_step(taken)
        return taken


class _Annealing:
    """Rounding of a search: stochastic, then ``z`` and at last all rounded.

    Args:
        steps: Steps of the search.
        seed: Of the noise.
        device: Where the latents are.
        round_from: Share of the steps after which all is rounded, with the
            gradient of the identity; 1 for never.
    """

    def __init__(self, steps: int, seed: int, device: torch.device,
                 round_from: float) -> None:
        self._steps, self._step = steps, 0
        self._round_from = round_from
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
        if self._step >= self._round_from * self._steps:
            return round_ste(t)
        return annealed_round(t, temperature_at(self._step, self._steps),
                              self._generator)

    @property
    def rounds(self) -> bool:
        """Whether all is rounded at last."""
        return self._round_from < 1

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


def _damp(adam: torch.optim.Adam) -> None:
    """Make steps small where the gradient is.

    Adam gives all values steps of one length. Those that hardly matter would
    walk at random, by the noise of the rounding, and cost bits.
    """
    group, = adam.param_groups
    gradients = [t.grad for t in group['params'] if t.grad is not None]
    count = sum(gradient.numel() for gradient in gradients)
    energy = sum(gradient.square().sum() for gradient in gradients)
    group['eps'] = max(_DAMPING * (energy / count).sqrt().item(), 1e-12)


def default_lr(steps: int, is_serial: bool = False) -> float:
    """Learning rate for a number of steps, in quantisation steps.

    0.05 for 30 and 0.03 for 100, which did best on images of Kodak; of a
    codec that predicts ``y`` from itself six tenths of that.
    """
    return (0.03 if is_serial else 0.05) * (30 / steps)**0.42


def _settings_of(part: Any) -> Any:
    """What decides a part, for JSON."""
    return part.settings() if hasattr(part, 'settings') else repr(part)


def _psnr(x: Tensor, x_hat: Tensor) -> float:
    mse = (x_hat - x).square().mean().item()
    return -10 * math.log10(max(mse, 1e-10))
