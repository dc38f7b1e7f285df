"""Lets a resumed run draw the same random numbers as one that is not."""
import random

import numpy as np
import torch
from mmengine.dist import all_gather_object, get_rank
from mmengine.hooks import CheckpointHook, Hook

from mmhmc.compat import call_after_replay
from mmhmc.registry import HOOKS


@HOOKS.register_module()
class RandomStateHook(Hook):
    """Saves the random states of all processes and restores them on resume.

    Python, numpy, torch and CUDA. Validation leaves them untouched, so a run
    that validates and one that resumes draw the same numbers: to the last
    bit, with loops that count epochs and with those that count iterations.

    Worker processes (``num_workers > 0``) have states of their own, which
    cannot be saved, since they are ahead of the run. Random transforms of a
    pipeline draw the same numbers again

    - after an epoch, unless workers outlive it (``persistent_workers``);
    - with a loop that counts iterations only if mmengine replays the loader,
      as it does for a ``DefaultSampler``; an ``InfiniteSampler`` is moved on
      without loading (mmengine 0.10.12), and the workers begin anew.

    The processes of a distributed run draw different numbers, even if
    ``randomness`` gave all of them one seed: otherwise they would add the
    same noise to the latents.
    """

    # First to restore, so that nothing is drawn before.
    priority = 'VERY_HIGH'

    _waiting: dict | None = None
    _gathered: list[dict] | None = None

    def before_train(self, runner) -> None:
        """Give each process its seed, and the loader a generator."""
        _seed_processes_apart()
        # A loop that counts iterations makes an iterator when it resumes,
        # which would otherwise draw from the restored state.
        if hasattr(runner.train_loop, 'dataloader_iterator'):
            runner.train_dataloader.generator = torch.Generator().manual_seed(
                torch.initial_seed())

    def after_train_epoch(self, runner) -> None:
        """Gather before hooks that save, since only one process saves."""
        self._gather()

    def after_train_iter(self, runner, *args, **kwargs) -> None:
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
        """Restore before the first batch is loaded."""
        call_after_replay(runner.train_loop, runner.iter, self._restore)

    def before_train_iter(self, runner, *args, **kwargs) -> None:
        """Restore, for loops that have no epoch."""
        self._restore()

    def before_val(self, runner) -> None:
        """Remember the states before validation.

        A checkpoint that is saved as the best after it needs them too.
        """
        self._before_val = random_state()
        self._gather()

    def after_val(self, runner) -> None:
        """Restore the states from before validation."""
        set_random_state(self._before_val)

    def _restore(self) -> None:
        if self._waiting is not None:
            set_random_state(self._waiting)
            self._waiting = None


def _seed_processes_apart() -> None:
    """Seeds as by ``diff_rank_seed``, where processes have the same state."""
    states = all_gather_object(torch.get_rng_state())
    rank = get_rank()
    if any(torch.equal(state, states[rank]) for state in states[:rank]):
        seed = torch.initial_seed() + rank
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.manual_seed(seed)


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
