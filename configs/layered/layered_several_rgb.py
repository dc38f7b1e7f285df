"""Several tasks by one trunk, on images: `layered_several_latent.py`."""
_base_ = [
    'mmseg::_base_/default_runtime.py',
    '../_base_/task_models/face_several.py',
    '../_base_/datasets/celebamask_several.py',
    '../_base_/schedules/layered_rgb.py',
]
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=20),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='CheckpointHook', interval=20, max_keep_ckpts=2),
    sampler_seed=dict(type='DistSamplerSeedHook'))
log_processor = dict(by_epoch=True)
randomness = dict(seed=0)
