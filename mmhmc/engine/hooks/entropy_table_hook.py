"""Keeps entropy tables true to the weights."""
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Optional

from mmengine.hooks import EMAHook, Hook
from mmengine.model import is_model_wrapper
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel

from mmhmc.codecs import ImageCodec
from mmhmc.registry import HOOKS


@HOOKS.register_module()
class EntropyTableHook(Hook):
    """Builds the tables for validation, test and what is saved.

    Only where there are none, or the weights that they come from have changed
    since: a frozen codec keeps the tables of its checkpoint, and reads the
    files that were written with them.

    Solving for the quantiles of the factorised prior is part of it, so no
    auxiliary loss and no second optimizer is needed. Training needs neither,
    so in between the tables may be old.

    Saving, which only one process does, leaves the model as it is: what is
    saved gets tables of its own weights, averaged ones with ``EMAHook``. A
    checkpoint in parts (FSDP's ``local``) is only good to go on with, and
    keeps the tables that it has; ``state_dict_cfg='full'`` gives one to code
    with.
    """

    # After EMAHook, so that averaged weights get tables of their own; before
    # hooks that save.
    priority = 'BELOW_NORMAL'

    def before_train(self, runner) -> None:
        """Drop tables where EMAHook would copy them between models."""
        self._drop_for_ema(runner)

    def _before_epoch(self, runner, mode: str = 'train') -> None:
        """Build tables to validate or test with."""
        if mode != 'train':
            with _whole_weights(runner.model):
                for codec in _codecs(runner.model).values():
                    codec.refresh_entropy_tables()

    def _after_iter(self,
                    runner,
                    batch_idx: int,
                    data_batch: Optional[dict] = None,
                    outputs: Optional[list] = None,
                    mode: str = 'train') -> None:
        """Drop tables after the last image; EMAHook could not swap them."""
        if mode != 'train' and self.end_of_epoch(
                getattr(runner, f'{mode}_dataloader'), batch_idx):
            self._drop_for_ema(runner)

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Put tables of the saved weights into what is being saved."""
        state = checkpoint['state_dict']
        with _whole_weights(runner.model):
            for name, codec in _codecs(runner.model).items():
                # mmengine's strategies save the wrapper with the model.
                for prefix in (f'{name}.', f'module.{name}.'):
                    _renew_tables(codec, state, prefix)

    @staticmethod
    def _drop_for_ema(runner) -> None:
        """Make all tables empty, if weights are averaged.

        EMAHook swaps buffers, and those of different tables differ in size.
        Tables that do not change are alike in both models.
        """
        averaged = [
            hook.ema_model for hook in runner.hooks
            if isinstance(hook, EMAHook)
        ]
        # An averaged model learns nothing itself.
        changing = [
            name for name, codec in _codecs(runner.model).items()
            if codec.tables_can_change
        ]
        for model in [runner.model, *averaged] if averaged else []:
            codecs = _codecs(model)
            for name in changing:
                codecs[name].drop_entropy_tables()


def _renew_tables(codec: ImageCodec, state: dict, prefix: str) -> None:
    """Give the weights of a codec in ``state`` their tables, if they are all
    there: FSDP leaves them to one process, or each its part.
    """
    own = {
        key[len(prefix):]: value
        for key, value in state.items() if key.startswith(prefix)
    }
    shapes = {name: value.shape for name, value in own.items()}
    if any(
            shapes.get(name) != parameter.shape
            for name, parameter in codec.named_parameters()):
        return
    codec = deepcopy(codec)
    codec.load_training_state(own)
    codec.refresh_entropy_tables()
    for key, value in codec.state_dict().items():
        state[prefix + key] = value.cpu()


@contextmanager
def _whole_weights(model: nn.Module) -> Iterator[None]:
    """All weights in every process, of which FSDP leaves it a part."""
    if isinstance(model, FullyShardedDataParallel):
        with FullyShardedDataParallel.summon_full_params(model):
            yield
    else:
        yield


def _codecs(model: nn.Module) -> dict[str, ImageCodec]:
    """Codecs of a model by the name of each in the unwrapped model."""
    if is_model_wrapper(model) or hasattr(model, 'module'):
        model = model.module
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, ImageCodec)
    }
