"""What mmengine's runner needs to train a codec with a host."""
from .alternating_optim_wrapper import (AlternatingOptimWrapper,
                                        AlternatingOptimWrapperConstructor)
from .hooks import (AutocastHook, EntropyTableHook, FiniteLossHook,
                    KLTInitHook, LayerDrawHook, LmbdaScheduleHook,
                    RandomStateHook, RateLossHook, TrainingStageHook)
from .muon import Muon
from .optim_wrapper_constructor import CodecOptimWrapperConstructor

__all__ = [
    'AlternatingOptimWrapper', 'AlternatingOptimWrapperConstructor',
    'AutocastHook', 'CodecOptimWrapperConstructor', 'EntropyTableHook',
    'FiniteLossHook', 'KLTInitHook', 'LayerDrawHook', 'LmbdaScheduleHook',
    'Muon', 'RandomStateHook', 'RateLossHook', 'TrainingStageHook'
]
