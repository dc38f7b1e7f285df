"""Initialises transforms of a codec by a Karhunen-Loeve transform."""
from numbers import Real
from statistics import geometric_mean

import torch
from mmengine.dist import broadcast
from mmengine.hooks import Hook
from mmengine.model import MMDistributedDataParallel
from torch import nn

from mmhmc.codecs.layers import best_step, init_as_klt
from mmhmc.engine.parts import find_codec_wrapper, unwrap
from mmhmc.former_names import former_arguments
from mmhmc.registry import HOOKS
from .rate_loss_hook import RateLossHook
from .training_stage_hook import wrap_anew


@HOOKS.register_module()
class KLTInitHook(Hook):
    """Initialises g_a and g_s as a Karhunen-Loeve transform of the data.

    A codec with random weights needs thousands of steps to become as good as
    a linear transform. This one begins there: the axes are computed from
    training images, and the quantisation step from the weights of
    ``RateLossHook``. For the first ``frozen_iters`` only the entropy model
    learns. A run that resumes, or loads weights, is not changed.

    Args:
        num_images: Training images from which the axes are computed.
        frozen_iters: Iterations for which g_a and g_s are frozen.

    Raises:
        ValueError: If a number is out of range.
    """

    # Before hooks that read which parameters learn.
    priority = 'HIGH'

    @former_arguments(num_pictures='num_images')
    def __init__(self, num_images: int = 400, frozen_iters: int = 300) -> None:
        if num_images < 1 or frozen_iters < 0:
            raise ValueError(
                '`num_images` must be positive and `frozen_iters` not '
                f'negative, got {num_images} and {frozen_iters}.')
        self.num_images = num_images
        self.frozen_iters = frozen_iters
        self._frozen: list[nn.Parameter] | None = None

    def before_train(self, runner) -> None:
        """Initialise the weights, unless the run loads some.

        Raises:
            ValueError: If there is not exactly one ``RateLossHook`` with
                weights, or the codec's transforms are of another kind.
        """
        self._frozen = None
        if runner._load_from is not None and not runner._resume:
            return
        if runner.iter == 0:
            self._set_weights(runner)
        if runner.iter < self.frozen_iters:
            codec = _codec(runner)
            self._frozen = [
                p for part in (codec.g_a, codec.g_s)
                for p in part.parameters() if p.requires_grad
            ]
            _let_train(runner, self._frozen, False)

    def before_train_iter(self, runner, *args, **kwargs) -> None:
        """Let the transforms learn after ``frozen_iters``."""
        if self._frozen and runner.iter >= self.frozen_iters:
            _let_train(runner, self._frozen, True)
            self._frozen = None

    def after_train(self, runner) -> None:
        """Leave the model as it was built."""
        for parameter in self._frozen or []:
            parameter.requires_grad_(True)

    def _set_weights(self, runner) -> None:
        lmbda = _lmbda(runner)
        model = unwrap(runner.model)
        wrapper = find_codec_wrapper(model)
        codec = wrapper.codec
        # Not by the loader: its workers have prepared the next batches.
        loader = runner.train_dataloader
        count = len(loader.dataset)
        batches = (
            loader.collate_fn([loader.dataset[i % count]])
            for i in range(self.num_images))
        images = torch.cat([
            wrapper.input_norm.to_image(
                model.data_preprocessor(batch, True)['inputs'])
            for batch in batches
        ])
        init_as_klt(codec.g_a, codec.g_s, _seen_by_analysis(codec, images),
                    best_step(geometric_mean(lmbda)))
        if len(lmbda) > 1:
            middle = best_step(geometric_mean(lmbda))
            codec.set_gains([middle / best_step(one) for one in lmbda])
        # Each process saw images of its own.
        for part in (codec.g_a, codec.g_s):
            for parameter in part.parameters():
                broadcast(parameter.data)
        runner.logger.info('g_a and g_s begin as a linear transform of '
                           f'{len(images)} images.')


def _lmbda(runner) -> list[float]:
    """Weight of the distortion beside that of the rate, of each quality."""
    hooks = [h for h in runner.hooks if isinstance(h, RateLossHook)]
    if len(hooks) != 1:
        raise ValueError('KLTInitHook finds its step from one RateLossHook; '
                         f'`custom_hooks` has {len(hooks)}.')
    both = hooks[0].lmbda_distortion, hooks[0].lmbda_rate
    if any(map(callable, both)):
        raise ValueError('KLTInitHook finds its step from numbers or lists; '
                         'a weight of RateLossHook is a function.')
    lists = [[one] if isinstance(one, Real) else list(one) for one in both]
    count = max(map(len, lists))
    weights = [
        distortion / rate
        for distortion, rate in zip(*(one * (count // len(one))
                                      for one in lists))
    ]
    if min(weights) <= 0:
        raise ValueError('KLTInitHook finds its step from a positive '
                         f'`lmbda_distortion`, got {both[0]}.')
    return weights


@torch.no_grad()
def _seen_by_analysis(codec: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Images as ``g_a`` takes them, which may be in other colours."""
    seen = []
    handle = codec.g_a.register_forward_pre_hook(
        lambda module, args: seen.append(args[0]))
    try:
        for image in images.split(8):
            codec(image)
    finally:
        handle.remove()
    return torch.cat(seen)


def _codec(runner) -> nn.Module:
    return find_codec_wrapper(unwrap(runner.model)).codec


def _let_train(runner, parameters: list[nn.Parameter], whether: bool) -> None:
    for parameter in parameters:
        parameter.requires_grad_(whether)
        parameter.grad = None
    if isinstance(runner.model, MMDistributedDataParallel):
        runner.model = wrap_anew(runner, runner.model.module)
