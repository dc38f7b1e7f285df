"""Codec of Zhang et al. (2024): MPA, paths for people and for machines."""
from collections.abc import Iterator, Sequence
from numbers import Real

from torch import Tensor, nn

from mmhmc.former_names import former_arguments
from mmhmc.registry import MODELS
from mmhmc.structures import CodecOutput, Condition
from .layers import MultiPathStage, PathChoice
from .layers.multi_path import PATH_WIDTHS, strongest_part
from .tinylic import TinyLIC
from .variable_rate import NUM_QUALITIES

#: The main path of the decoder, which needs no side path.
MAIN_TASK = 'perceptual'
#: The encoder's side path, for positions that need fewer bits.
_LOW = 'low'
_INVERTED_TASKS = ('mse', )


@MODELS.register_module()
class MPA(TinyLIC):
    """All-in-one image coding by multi-path aggregation, Zhang et al. (2024).

    .. code-block:: none

                      ┌─► main MLP ──┐
        predictor ─►──┤ (positions)  ├──►  in each block of 3 stages of g_a
                      └─► side MLP ──┘     and 3 stages of g_s

    :class:`TinyLIC` with several rates, in whose stages at 1/2, 1/4 and 1/8
    of the image's sides each position takes the main path or a side path:

    - In the encoder fewer positions take the main path at lower qualities.
    - The decoder's main path is for people (``'perceptual'``). Each task has
      a side path of its own, and ``condition.alpha`` is the share of
      positions that take it: 0 gives the main path alone, whatever the task,
      1, the default, the task's alone. The published code counts
      ``q_task = 1 + 7 * alpha``.

    Bitstreams depend on the quality, never on task or alpha. A condition
    without a task decodes for people.

    Another task is one more name in ``tasks``. Weights without it load, also
    strictly; its path is initialised with the strongest hidden channels of
    the main path: all of them in an inverted bottleneck, a quarter in a
    bottleneck.

    Training has two stages. In the first, with ``tasks=()``, all weights
    learn for people. In the second ``trained_task`` names the one side path
    that learns while all other weights are frozen: no gradients, evaluation
    mode, equal bitstreams. ``tools/model_converters/merge_mpa.py`` merges
    tasks that were trained separately into one file. In training an output's
    ``extra_losses`` have the ratio loss, which makes predictors choose the
    given share of positions.

    ``trained_task='perceptual'`` trains the MLPs of the decoder's main path
    again. Bitstreams stay, and so does what a task gets at an ``alpha`` of 1.

    Differences from the paper: a task's path is initialised from the main
    one, not at random. In the second stage frozen parts are in evaluation
    mode, where the published code adds their noise. Images are never cut
    into tiles, for positions are ranked over the whole image.

    Reference:
        X. Zhang, P. Guo, M. Lu, Z. Ma: "All-in-One Image Coding for Joint
        Human-Machine Vision with Multi-Path Aggregation", NeurIPS 2024.
        https://arxiv.org/abs/2409.19660

    Args:
        tasks: Names of tasks; or for each name the kind of its side path,
            ``'inverted'`` (a hidden width of twice the channels) or
            ``'bottleneck'`` (of half). By name alone ``mse`` is inverted, any
            other a bottleneck.
        trained_task: The task that learns, all other weights being frozen,
            or ``'perceptual'``; None trains all.
        lmbda_ratio: Weight of the ratio loss, not negative.
        **kwargs: The other arguments of :class:`TinyLIC`.

    Raises:
        ValueError: If a task has no fitting name or kind, the trained task is
            none of them, or a size does not fit.
    """

    # Positions are ranked over the whole image.
    tile_size = None
    controls = ('quality', 'task', 'alpha')
    # The share of positions is one for all images of a batch.
    mixes_qualities = False

    def __init__(self,
                 tasks: Sequence[str] | dict[str, str] = (),
                 trained_task: str | None = None,
                 lmbda_ratio: float = 10.,
                 **kwargs) -> None:
        self.tasks = _kinds_of(tasks)
        known = [MAIN_TASK, *self.tasks]
        if trained_task is not None and trained_task not in known:
            raise ValueError(f'`trained_task` must be one of {known}, got '
                             f'{trained_task!r}.')
        if not 0 <= lmbda_ratio < float('inf'):
            raise ValueError('`lmbda_ratio` weighs a part of the loss and '
                             'must be finite and at least 0, got '
                             f'{lmbda_ratio}.')
        self.trained_task, self.lmbda_ratio = trained_task, lmbda_ratio
        super().__init__(
            variable_rate=True, num_qualities=NUM_QUALITIES, **kwargs)
        self.codec_id = 'mpa'
        if trained_task is not None:
            self.requires_grad_(False)
            for part in self.task_parts(trained_task):
                part.requires_grad_(True)
            self.train()

    def make_stage(self, transform: str, channels: int,
                   drop_path: list[float]) -> nn.Module:
        """See :meth:`TinyLIC.make_stage`."""
        paths = {'g_a': {_LOW: 'bottleneck'}, 'g_s': self.tasks}
        if transform not in paths or channels not in self.hidden_channels:
            return super().make_stage(transform, channels, drop_path)
        return MultiPathStage(channels, 7, drop_path, NUM_QUALITIES,
                              paths[transform])

    def task_parts(self, task: str) -> Iterator[nn.Module]:
        """Predictors and side paths of one task; MLPs of the main path."""
        for stage in self.g_s:
            if not isinstance(stage, MultiPathStage):
                continue
            if task == MAIN_TASK:
                for block in stage.blocks:
                    yield block.norm2
                    yield block.mlp
            else:
                yield stage.predictors[task]
                yield stage.sides[task]

    def train(self, mode: bool = True) -> 'MPA':
        """Set the mode; with a trained task, of that task only."""
        super().train(mode and self.trained_task is None)
        if self.trained_task is not None:
            for part in self.task_parts(self.trained_task):
                part.train(mode)
        return self

    @former_arguments(rate='with_likelihoods')
    def encode_latents(self,
                       x: Tensor,
                       condition: Condition = None,
                       with_likelihoods: bool = True) -> CodecOutput:
        """See :meth:`ImageCodec.encode_latents`."""
        self.check_input(x, condition)
        controls = self.controls_of(condition)
        path = encoder_path(controls['quality'])
        output = self._encode(x, with_likelihoods, controls, path=path)
        if self.training:
            output.extra_losses['encoder_ratio'] = \
                self.lmbda_ratio * path.ratio_loss()
        return output

    def decode_latents(self,
                       y_hat: Tensor,
                       condition: Condition = None) -> Tensor:
        """See :meth:`ImageCodec.decode_latents`."""
        return self.decode_with_losses(y_hat, condition)[0]

    def decode_with_losses(
            self,
            y_hat: Tensor,
            condition: Condition = None) -> tuple[Tensor, dict[str, Tensor]]:
        """See :meth:`ImageCodec.decode_with_losses`."""
        self.check_condition(condition)
        path = decoder_path(condition)
        x_hat = self._decode(y_hat, self.controls_of(condition), path=path)
        # A task that is not trained adds no loss.
        learns = path is not None and any(
            part.training for part in self.task_parts(path.name))
        if not learns:
            return x_hat, {}
        return x_hat, {'decoder_ratio': self.lmbda_ratio * path.ratio_loss()}

    def path_masks(self,
                   x: Tensor,
                   condition: Condition = None) -> dict[str, Tensor]:
        """Positions that take the main path, for visualisation.

        Args:
            x: RGB in [0, 1], shape (B, 3, H, W), H and W multiples of
                ``downsampling_factor``.
            condition: Run-time controls.

        Returns:
            For each stage with two paths, by its name, a mask (B, h, w), 1
            where the main path was taken; of the decoder only if there is a
            task.
        """
        self.check_input(x, condition)
        controls = self.controls_of(condition)
        paths = dict(
            g_a=encoder_path(controls['quality']), g_s=decoder_path(condition))
        output = self._encode(x, False, controls, path=paths['g_a'])
        self._decode(output.y_hat, controls, path=paths['g_s'])
        masks = {}
        for name, path in paths.items():
            stages = [
                f'{name}.{i}' for i, stage in enumerate(getattr(self, name))
                if isinstance(stage, MultiPathStage)
            ]
            masks.update(zip(stages, path.masks if path else ()))
        return masks

    def check_condition(self, condition: Condition) -> None:
        """See :meth:`TinyLIC.check_condition`."""
        super().check_condition(condition)
        if condition is None:
            return
        known = [MAIN_TASK, *self.tasks]
        if condition.task is not None and condition.task not in known:
            raise ValueError(f'`task` must be one of {known}, got '
                             f'{condition.task!r}.')
        alpha = condition.alpha
        if alpha is None:
            return
        if not (isinstance(alpha, Real) and 0 <= alpha <= 1):
            raise ValueError('`alpha` must be a number from 0 to 1, got '
                             f'{alpha!r}.')
        if condition.task is None:
            raise ValueError('`alpha` leads from people to a task, but there '
                             'is no `task`; give one of '
                             f'{list(self.tasks)}.')

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        if prefix + 'gain' in state_dict:
            own = self.state_dict()
            for task in self.tasks:
                names = [k for k in own if belongs_to(k, task)]
                if not any(prefix + name in state_dict for name in names):
                    state_dict.update({prefix + k: own[k] for k in names})
                    state_dict.update(self._begun(task, state_dict, prefix))
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _begun(self, task: str, state_dict: dict[str, Tensor],
               prefix: str) -> dict[str, Tensor]:
        """Initial side paths of a task, from the main path."""
        begun = {}
        for number, stage in self.g_s.named_children():
            if not isinstance(stage, MultiPathStage):
                continue
            for index, side in enumerate(stage.sides[task]):
                stem = f'{prefix}g_s.{number}'
                block = f'{stem}.blocks.{index}.'
                main = {
                    key.removeprefix(block): value
                    for key, value in state_dict.items()
                    if key.startswith(block)
                }
                begun.update({
                    f'{stem}.sides.{task}.{index}.{key}': value
                    for key, value in strongest_part(main, side).items()
                })
        return begun


def encoder_path(quality: float) -> PathChoice:
    """The encoder's side path, and the share of the main path at a quality.

    The share is 0 at the lowest quality, 1 at the highest, and grows
    exponentially between them.
    """
    grown = (quality - 1) / (NUM_QUALITIES - 1)
    return PathChoice(_LOW, (5**grown - 1) / 4, round(quality) - 1)


def decoder_path(condition: Condition) -> PathChoice | None:
    """The decoder's side path and the main path's share; None: main only."""
    if condition is None or condition.task in (None, MAIN_TASK):
        return None
    alpha = 1. if condition.alpha is None else condition.alpha
    return PathChoice(condition.task, 1 - alpha,
                      round(alpha * (NUM_QUALITIES - 1)))


def belongs_to(key: str, task: str) -> bool:
    """Whether a state dict's key, with any prefix, is of a task's path."""
    names = key.split('.')
    return 'g_s' in names and any(
        pair in (('predictors', task), ('sides', task))
        for pair in zip(names, names[1:]))


def _kinds_of(tasks: Sequence[str] | dict[str, str]) -> dict[str, str]:
    """For each task the kind of its side path."""
    if isinstance(tasks, str):
        raise ValueError('`tasks` must be a list of names, or a dictionary, '
                         f'got {tasks!r}.')
    if not isinstance(tasks, dict):
        tasks = {
            task: 'inverted' if task in _INVERTED_TASKS else 'bottleneck'
            for task in tasks
        }
    for task, kind in tasks.items():
        # A key of ModuleDict must not be the name of a method.
        if not (isinstance(task, str)
                and task.isidentifier()) or task == MAIN_TASK or hasattr(
                    nn.ModuleDict, task):
            raise ValueError(
                f'{task!r} cannot name a task: it must be an identifier, not '
                f'{MAIN_TASK!r}, which is the main path, and no method of '
                'torch.nn.ModuleDict.')
        if kind not in PATH_WIDTHS:
            raise ValueError(f'The side path of task {task!r} must be one of '
                             f'{list(PATH_WIDTHS)}, got {kind!r}.')
    return dict(tasks)
