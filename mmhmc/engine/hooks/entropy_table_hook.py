"""Keeps entropy tables true to the weights."""
from typing import Optional

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from torch import nn

from mmhmc.codecs import ImageCodec
from mmhmc.registry import HOOKS


@HOOKS.register_module()
class EntropyTableHook(Hook):
    """Rebuilds the tables before validation, test and saving.

    Solving for the quantiles of the factorised prior is part of it, so no
    auxiliary loss and no second optimizer is needed.

    Args:
        interval: Also rebuild every so many iterations of training; 0: never.

    Raises:
        ValueError: If ``interval`` is negative.
    """

    # Before checkpoint hooks.
    priority = 'NORMAL'

    def __init__(self, interval: int = 0) -> None:
        if interval < 0:
            raise ValueError(f'`interval` must be at least 0, got {interval}.')
        self.interval = interval

    def before_val(self, runner) -> None:
        """Rebuild."""
        self._update(runner)

    def before_test(self, runner) -> None:
        """Rebuild."""
        self._update(runner)

    def after_train_iter(self,
                         runner,
                         batch_idx: int,
                         data_batch: Optional[dict] = None,
                         outputs: Optional[dict] = None) -> None:
        """Rebuild now and then."""
        if self.interval and self.every_n_train_iters(runner, self.interval):
            self._update(runner)

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Rebuild, and put the result into what is being saved."""
        for name, codec in self._update(runner).items():
            # Only what this hook changes: another hook may have put averaged
            # weights there.
            tables = dict(codec.named_buffers())
            for key, value in codec.state_dict().items():
                if key in tables or key.endswith('quantiles'):
                    checkpoint['state_dict'][f'{name}.{key}'] = value.cpu()

    @staticmethod
    def _update(runner) -> dict[str, nn.Module]:
        model = runner.model
        model = model.module if is_model_wrapper(model) else model
        codecs = {
            name: module
            for name, module in model.named_modules()
            if isinstance(module, ImageCodec)
        }
        for codec in codecs.values():
            codec.update_entropy_tables()
        return codecs
