"""Small MPA, stage 2: the path of the mean squared error."""
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/trained_codecs/mpa_small.py',
    '../_base_/datasets/pictures.py',
    '../_base_/schedules/mpa_small_stage2.py',
]
stages = [dict(_base_.stages[0], result='model.codec.init_cfg.checkpoint')]
model = dict(
    type='mmhmc.CodecModel',
    codec=dict(_base_.codec, trained_task='mse'),
    condition=dict(quality=8, task='mse', alpha=1.),
    train_condition=_base_.train_condition)
test_dataloader = dict(num_workers=0)
train_cfg = dict(max_iters=800)
param_scheduler = [dict(_base_.param_scheduler[0], T_max=800)]
# The mean squared error alone.
objective = dict(_delete_=True, lmbda_rate=0., lmbda_distortion=0.01)
default_hooks = dict(checkpoint=dict(interval=100, max_keep_ckpts=2))
randomness = dict(seed=0)
