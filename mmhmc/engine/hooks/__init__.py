"""Training hooks."""
from .autocast_hook import AutocastHook
from .entropy_table_hook import EntropyTableHook
from .finite_loss_hook import FiniteLossHook
from .klt_init_hook import KLTInitHook
from .layer_draw_hook import LayerDrawHook
from .lmbda_schedule_hook import LmbdaScheduleHook
from .random_state_hook import RandomStateHook
from .rate_loss_hook import RateLossHook
from .training_stage_hook import TrainingStageHook

__all__ = [
    'AutocastHook', 'EntropyTableHook', 'FiniteLossHook', 'KLTInitHook',
    'LayerDrawHook', 'LmbdaScheduleHook', 'RandomStateHook', 'RateLossHook',
    'TrainingStageHook'
]
