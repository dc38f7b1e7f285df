"""Initialises transforms of a codec by a Karhunen-Loeve transform."""
from numbers import Real

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
        weights = [h for h in runner.hooks if isinstance(h, RateLossHook)]
        if len(weights) != 1 or not isinstance(
                weights[0].lmbda_distortion,
                Real) or not weights[0].lmbda_distortion:
            raise ValueError(
                'KLTInitHook finds its step from one RateLossHook with one '
                'number as `lmbda_distortion`; `custom_hooks` has '
                f'{len(weights)}.')
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
        init_as_klt(codec.g_a, codec.g_s, images,
                    best_step(weights[0].lmbda_distortion))
        # Each process saw images of its own.
        for part in (codec.g_a, codec.g_s):
            for parameter in part.parameters():
                broadcast(parameter.data)
        runner.logger.info('g_a and g_s begin as a linear transform of '
                           f'{len(images)} images.')


def _codec(runner) -> nn.Module:
    return find_codec_wrapper(unwrap(runner.model)).codec


def _let_train(runner, parameters: list[nn.Parameter], whether: bool) -> None:
    for parameter in parameters:
        parameter.requires_grad_(whether)
        parameter.grad = None
    if isinstance(runner.model, MMDistributedDataParallel):
        runner.model = wrap_anew(runner, runner.model.module)
