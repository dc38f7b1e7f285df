"""A test's function in two processes of a distributed run, on CPUs."""
import os
import warnings
from datetime import timedelta

import torch
import torch.distributed as dist


def run_in_two_processes(function, folder):
    """Call a function of a test module in two processes.

    Args:
        function: Takes the rank and the folder.
        folder: For files.

    Returns:
        The two results.
    """
    torch.multiprocessing.spawn(_work, (function, str(folder)), nprocs=2)
    return [torch.load(f'{folder}/rank_{rank}.pth') for rank in (0, 1)]


def _work(rank, function, folder):
    warnings.simplefilter('ignore')
    torch.set_num_threads(1)
    os.environ.update(RANK=str(rank), WORLD_SIZE='2', LOCAL_RANK=str(rank))
    dist.init_process_group(
        'gloo',
        init_method=f'file://{folder}/rendezvous',
        rank=rank,
        world_size=2,
        timeout=timedelta(minutes=5))
    torch.save(function(rank, folder), f'{folder}/rank_{rank}.pth')
    dist.barrier()
    dist.destroy_process_group()
    # Now and then a process that has sharded a model aborts while Python
    # ends ("terminate called without an active exception"): threads of torch.
    os._exit(0)
