"""Keeps entropy tables in step with the weights."""
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy

from mmengine.hooks import EMAHook, Hook
from mmengine.model import is_model_wrapper
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel

from mmhmc.codecs import ImageCodec
from mmhmc.registry import HOOKS


@HOOKS.register_module()
class EntropyTableHook(Hook):
    """Builds entropy tables for validation, test and checkpoints.

    Tables are built where there are none, or where the weights that they
    depend on have changed. So a frozen codec keeps the tables of its
    checkpoint, and reads the files that were written with them.

    Building solves for the quantiles of the factorised prior, so no auxiliary
    loss and no second optimizer is needed. Training needs no tables, so they
    may be out of date in between.

    Only one process saves, and the model does not change then: the tables in
    a checkpoint are those of its weights, with ``EMAHook`` of the averaged
    ones. A checkpoint in parts (FSDP's ``local``) can only be resumed, and
    keeps its tables; ``state_dict_cfg='full'`` gives one to encode with.
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
                    *args,
                    mode: str = 'train',
                    **kwargs) -> None:
        """Drop tables after the last image; EMAHook could not swap them."""
        if mode != 'train' and self.end_of_epoch(
                getattr(runner, f'{mode}_dataloader'), batch_idx):
            self._drop_for_ema(runner)

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Put tables of the saved weights into the checkpoint."""
        state = checkpoint['state_dict']
        with _whole_weights(runner.model):
            for name, codec in _codecs(runner.model).items():
                # mmengine's strategies save the wrapper with the model.
                for prefix in (f'{name}.', f'module.{name}.'):
                    _renew_tables(codec, state, prefix)

    @staticmethod
    def _drop_for_ema(runner) -> None:
        """Make all tables empty, if weights are averaged.

        EMAHook swaps buffers, and different tables differ in size. Tables
        that do not change are equal in both models.
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
    """Give the weights of a codec in ``state`` their tables.

    Only if all weights are there: with FSDP one process has them all, or each
    has a part.
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
    """All weights in every process, also with FSDP."""
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
