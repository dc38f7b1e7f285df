"""Makes a resumed run draw the numbers that the first would have drawn."""
import random
from typing import Optional

import numpy as np
import torch
from mmengine.dist import all_gather_object, get_rank
from mmengine.hooks import CheckpointHook, Hook

from mmhmc.registry import HOOKS


@HOOKS.register_module()
class RandomStateHook(Hook):
    """Saves the random states of all processes and restores them on resume.

    Python, numpy, torch and CUDA. Validation leaves them untouched, so a run
    that validates and one that resumes draw the same numbers. With an
    epoch-based loop a resumed run is exact; with an iteration-based loop it
    is when pictures are loaded by worker processes (``num_workers > 0``),
    since mmengine replays the loader before it resumes. Workers that outlive
    an epoch (``persistent_workers``) keep states of their own.
    """

    # First to restore, so that nothing is drawn before.
    priority = 'VERY_HIGH'

    _waiting: Optional[dict] = None
    _gathered: Optional[list[dict]] = None

    def after_train_epoch(self, runner) -> None:
        """Gather before hooks that save, since only one process saves."""
        self._gather()

    def after_train_iter(self,
                         runner,
                         batch_idx: int,
                         data_batch: Optional[dict] = None,
                         outputs: Optional[dict] = None) -> None:
        """Gather in iterations that save."""
        savers = [h for h in runner.hooks if isinstance(h, CheckpointHook)]
        if any(not h.by_epoch and self.every_n_train_iters(runner, h.interval)
               for h in savers) or self.is_last_train_iter(runner):
            self._gather()

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Put the states of all processes into the checkpoint."""
        checkpoint['random_states'] = self._gathered or [random_state()]

    def _gather(self) -> None:
        self._gathered = all_gather_object(random_state())

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Keep the states for the first step, when resuming."""
        states = checkpoint.get('random_states')
        if runner._resume and states is not None:
            self._waiting = states[get_rank() % len(states)]

    def before_train_epoch(self, runner) -> None:
        """Restore, for loops that count epochs."""
        self._restore()

    def before_train_iter(self,
                          runner,
                          batch_idx: int,
                          data_batch: Optional[dict] = None) -> None:
        """Restore, for loops that count iterations."""
        self._restore()

    def before_val(self, runner) -> None:
        """Remember what validation may change."""
        self._before_val = random_state()

    def after_val(self, runner) -> None:
        """Forget what validation changed."""
        set_random_state(self._before_val)

    def _restore(self) -> None:
        if self._waiting is not None:
            set_random_state(self._waiting)
            self._waiting = None


def random_state() -> dict:
    """States of python's, numpy's, torch's and CUDA's generators.

    Plain numbers and tensors, so that a checkpoint with them loads with
    ``weights_only=True``.
    """
    name, keys, *rest = np.random.get_state()
    state = dict(
        python=random.getstate(),
        numpy=(name, keys.tolist(), *rest),
        torch=torch.get_rng_state())
    if torch.cuda.is_available():
        state['cuda'] = torch.cuda.get_rng_state()
    return state


def set_random_state(state: dict) -> None:
    """Restore what :func:`random_state` returned."""
    version, words, gauss = state['python']
    random.setstate((version, tuple(words), gauss))
    name, keys, *rest = state['numpy']
    np.random.set_state((name, np.array(keys, dtype=np.uint32), *rest))
    torch.set_rng_state(state['torch'].cpu())
    if 'cuda' in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state['cuda'].cpu())
