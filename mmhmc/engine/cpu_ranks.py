"""Several processes of mmengine's runners without a GPU."""
import torch
import torch.distributed as dist
from mmengine.config import Config

from mmhmc.registry import type_name
from .ranks import Ranks, join_ranks

_WRAPPERS = dict(
    DDPStrategy=dict(
        type='MMDistributedDataParallel',
        broadcast_buffers=False,
        device_ids=None),
    FSDPStrategy=dict(type='MMFullyShardedDataParallel', device_id='cpu'))


def distribute_on_cpu(cfg: Config) -> None:
    """Let the processes that torchrun or slurm started meet on their CPUs.

    mmengine takes each to have a GPU: it asks CUDA for it before they meet,
    and tells the wrapper of the model of it. What the config says about the
    wrapper stays. Nothing changes where there is a GPU, or no launcher.

    Args:
        cfg: Config of a run with its ``launcher``, changed in place.

    Raises:
        RuntimeError: If the others do not arrive.
        ValueError: If slurm does not say on which machine they meet.
    """
    if cfg.get('launcher') not in ('pytorch', 'slurm') or \
            torch.cuda.is_available():
        return
    if not dist.is_initialized() and join_ranks() == Ranks():
        # One process alone.
        cfg.launcher = 'none'
        return
    if 'runner_type' in cfg:
        wrapper = _WRAPPERS.get(type_name(cfg.get('strategy') or {}))
        if wrapper is not None:
            cfg.strategy.model_wrapper = {
                **wrapper,
                **(cfg.strategy.get('model_wrapper') or {})
            }
        return
    own = dict(find_unused_parameters=cfg.get('find_unused_parameters', False))
    cfg.model_wrapper_cfg = {
        **_WRAPPERS['DDPStrategy'],
        **own,
        **(cfg.get('model_wrapper_cfg') or {})
    }
