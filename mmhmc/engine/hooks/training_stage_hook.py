"""Stages of training: which of codec, adapter and host learn."""
from collections.abc import Sequence

from mmengine.hooks import Hook
from mmengine.model import MMDistributedDataParallel
from torch import nn

from mmhmc.engine.parts import (PARTS, adapter_changes_nothing,
                                encoder_parameters, find_codec_wrapper,
                                split_parameters, unwrap)
from mmhmc.registry import HOOKS
from .named_settings import takes_named_settings

#: What a stage can train; the encoder is a part of the codec.
_TRAINABLE = (*PARTS, 'encoder')
_STATISTICS = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)


@HOOKS.register_module()
@takes_named_settings
class TrainingStageHook(Hook):
    """Switches parts of the model between trained and frozen.

    .. code-block:: none

        stages=[dict(begin=0, trainable=['codec', 'adapter']),   stage B
                dict(begin=8, trainable=['adapter'])]            stage C

    A frozen part has no gradients. A frozen codec or adapter is in evaluation
    mode (latents are rounded, for a whole batch at once, see
    ``ImageCodec.estimate_latents``). A frozen host stays in training mode,
    which its losses need, but its normalisation statistics are fixed and its
    dropout is off. Layers that the host itself freezes (``frozen_stages``)
    stay frozen.

    With ``encoder`` in place of ``codec`` learns of the codec only the way to
    the symbols (``ImageCodec.encoder_parts``). Streams are then read, and
    shown to people, by the codec as it was before.

    Under DDP the model is wrapped anew at each switch, so that the reducer
    waits for exactly the parameters that train.

    Args:
        stages: For each stage ``begin`` (epoch or iteration, from 0, rising)
            and ``trainable``, a list out of codec, encoder, adapter and
            host.
        by_epoch: Whether ``begin`` counts epochs, else iterations.
        named: Stages by name instead of a list, so that an option can name
            one: ``--cfg-options training_stages.adapter.begin=500``.

    Raises:
        ValueError: If the stages are not in order, name unknown parts, or
            train nothing.
    """

    # Before hooks that read which parameters learn.
    priority = 'HIGH'

    def __init__(self,
                 stages: Sequence[dict] | None = None,
                 by_epoch: bool = True,
                 **named: dict) -> None:
        stages = list(named.values() if stages is None else stages)
        if not all(isinstance(stage, dict) for stage in stages):
            raise ValueError(
                'Each stage must be a dict with `begin` and `trainable`, got '
                f'{stages}. An option names a stage: '
                '`training_stages.NAME.begin=500`.')
        begins = [stage['begin'] for stage in stages]
        if not begins or begins[0] != 0 or sorted(set(begins)) != begins:
            raise ValueError('`stages` must begin at 0 and rise, got '
                             f'begin={begins}.')
        for stage in stages:
            unknown = set(stage['trainable']) - set(_TRAINABLE)
            if unknown or not stage['trainable']:
                raise ValueError('A stage trains one or more of '
                                 f'{list(_TRAINABLE)}, got '
                                 f'{list(stage["trainable"])}.')
        self.stages = stages
        self.by_epoch = by_epoch
        self.current: int | None = None

    def before_train(self, runner) -> None:
        """Check the stages against the model and enter the first.

        Raises:
            ValueError: If a stage trains what the model does not have, or
                the adapter would change nothing.
        """
        model = unwrap(runner.model)
        # Parameters that the host or the codec has frozen stay so.
        parts = dict(
            split_parameters(model), encoder=encoder_parameters(model))
        self._free = {
            part: [p for p in parameters if p.requires_grad]
            for part, parameters in parts.items()
        }
        wanted = {part for stage in self.stages for part in stage['trainable']}
        for part in sorted(wanted):
            if not self._free[part]:
                raise ValueError(f'A stage trains the {part}, but this model '
                                 'has none with parameters to train.')
        if 'adapter' not in wanted and adapter_changes_nothing(
                find_codec_wrapper(model)):
            raise ValueError(
                'The adapter would change nothing: it is still the identity '
                'and no stage trains it. Add adapter to `trainable`, or set '
                '`adapter=None`.')
        self.current = None
        self._switch(runner)

    def before_train_epoch(self, runner) -> None:
        """Begin the next stage when its epoch comes."""
        if self.by_epoch:
            self._switch(runner)

    def before_train_iter(self, runner, *args, **kwargs) -> None:
        """Begin the next stage when its iteration comes; keep parts frozen.

        The loops call ``model.train()``, also for frozen parts.
        """
        if not self.by_epoch:
            self._switch(runner)
        self._keep_frozen(unwrap(runner.model))

    def after_train(self, runner) -> None:
        """Leave the model as it was built."""
        for parameters in self._free.values():
            for parameter in parameters:
                parameter.requires_grad_(True)

    def _switch(self, runner) -> None:
        now = runner.epoch if self.by_epoch else runner.iter
        due = sum(stage['begin'] <= now for stage in self.stages) - 1
        if due == self.current:
            return
        self.current = due
        trainable = self.stages[due]['trainable']
        learning = {id(p) for part in trainable for p in self._free[part]}
        for parameters in self._free.values():
            for parameter in parameters:
                parameter.requires_grad_(id(parameter) in learning)
                parameter.grad = None
        model = unwrap(runner.model)
        if isinstance(runner.model, MMDistributedDataParallel):
            runner.model = wrap_anew(runner, model)
        runner.logger.info(f'Stage {due + 1} of {len(self.stages)}: training '
                           f'{", ".join(trainable)}.')

    def _keep_frozen(self, model: nn.Module) -> None:
        """Put frozen parts into evaluation mode."""
        trainable = set(self.stages[self.current]['trainable'])
        if 'encoder' in trainable:
            trainable.add('codec')
        wrapper = find_codec_wrapper(model)
        for name in ('codec', 'adapter'):
            part = getattr(wrapper, name)
            if part is not None and name not in trainable:
                part.eval()
        if 'host' not in trainable:
            own = set(wrapper.codec.modules())
            if wrapper.adapter is not None:
                own.update(wrapper.adapter.modules())
            for module in model.modules():
                # DropPath is mmcv's, which a codec alone does not need.
                moves = (
                    isinstance(module, _STATISTICS)
                    or type(module).__name__ == 'DropPath')
                if moves and module not in own:
                    module.eval()


def wrap_anew(runner, model: nn.Module) -> nn.Module:
    """The model in a new wrapper, as mmengine's runner made the first."""
    # A FlexibleRunner has left this to its strategy.
    if hasattr(runner, 'strategy'):
        runner.strategy.model = runner.strategy._wrap_model(model)
        return runner.strategy.model
    return runner.wrap_model(runner.cfg.get('model_wrapper_cfg'), model)
