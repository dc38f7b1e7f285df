"""Sharing a list among the processes of torchrun or slurm."""
import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch.distributed as dist

#: Time limits: for all processes to start, and for the fastest to wait.
_START, _WORK = timedelta(minutes=10), timedelta(days=30)
#: Errors of the first process that are raised in all of them.
ERRORS = (OSError, ValueError, RuntimeError, LookupError, TypeError)


@dataclass(frozen=True)
class Ranks:
    """The processes that share a list; one, if nothing started several.

    Args:
        rank: Number of this process, from 0.
        size: Number of processes.
        local_rank: Number of this process on its machine.
        group: Their process group, None if there is only one process.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    group: Any | None = None

    def share(self, items: Sequence) -> list:
        """The part of a list that is for this process."""
        return list(items[self.rank::self.size])

    def from_first(self, call: Callable[[], Any]) -> Any:
        """Result of a call in the first process, sent to all; waits for all.

        Args:
            call: Called in the first process only; what it raises of
                :data:`ERRORS` is raised in all of them.

        Raises:
            RuntimeError: If a process has ended.
        """
        result, error = None, None
        if self.rank == 0:
            try:
                result = call()
            except ERRORS as raised:
                error = raised
        result, error = self.gather((result, error))[0]
        if error is not None:
            raise error
        return result

    def gather(self, value: Any) -> list:
        """One value of each process, in all of them; waits for all.

        Raises:
            RuntimeError: If a process has ended.
        """
        if self.group is None:
            return [value]
        gathered = [None] * self.size
        dist.all_gather_object(gathered, value, self.group)
        return gathered

    def leave(self) -> None:
        """End the communication with the other processes."""
        if self.group is not None:
            dist.destroy_process_group()


def join_ranks() -> Ranks:
    """Find the other processes that were started with this one.

    By what torchrun (``RANK``, ``WORLD_SIZE``) or slurm's ``srun``
    (``SLURM_PROCID``, ``SLURM_NTASKS``) set. They talk over gloo, which needs
    no GPU.

    Raises:
        RuntimeError: If the others do not arrive within ten minutes.
        ValueError: If slurm does not say on which machine they meet.
    """
    if 'RANK' not in os.environ:
        _take_from_slurm()
    rank = int(os.environ.get('RANK', 0))
    size = int(os.environ.get('WORLD_SIZE', 1))
    local_rank = int(os.environ.get('LOCAL_RANK', 0))
    if size < 2:
        return Ranks()
    try:
        dist.init_process_group('gloo', timeout=_START)
    except (RuntimeError, ValueError) as error:
        raise RuntimeError(
            f'{size} processes were announced, but they did not meet: '
            f'{error}. Start all of them with torchrun or srun; for one alone '
            'unset WORLD_SIZE and SLURM_NTASKS.') from error
    return Ranks(rank, size, local_rank, dist.new_group(timeout=_WORK))


def _take_from_slurm() -> None:
    """Set torch's variables from slurm's, as mmengine does for GPUs."""
    slurm = os.environ
    if int(slurm.get('SLURM_NTASKS', 1)) < 2 or 'SLURM_PROCID' not in slurm:
        return
    os.environ.update(
        RANK=slurm['SLURM_PROCID'],
        WORLD_SIZE=slurm['SLURM_NTASKS'],
        LOCAL_RANK=slurm.get('SLURM_LOCALID', '0'))
    os.environ.setdefault('MASTER_PORT', '29500')
    if 'MASTER_ADDR' not in slurm:
        os.environ['MASTER_ADDR'] = _first_host(
            slurm.get('SLURM_JOB_NODELIST', ''))


def _first_host(nodes: str) -> str:
    try:
        hosts = subprocess.run(['scontrol', 'show', 'hostnames', nodes],
                               capture_output=True,
                               text=True,
                               check=True).stdout.split()
        return hosts[0]
    except (OSError, subprocess.CalledProcessError, IndexError) as error:
        raise ValueError(
            'slurm started several processes, but `scontrol` does not say on '
            f'which machine they meet ({error}). Set MASTER_ADDR to the name '
            'of the first.') from error
