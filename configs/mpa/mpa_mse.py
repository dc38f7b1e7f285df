"""MPA, stage 2: the path of the mean squared error."""
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/trained_codecs/mpa.py',
    '../_base_/datasets/picture_crops.py',
    '../_base_/schedules/mpa_stage2.py',
]
stages = [dict(_base_.stages[0], result='model.codec.init_cfg.checkpoint')]
model = dict(
    type='mmhmc.CodecModel',
    codec=dict(_base_.codec, tasks=['mse', 'cls', 'seg'], trained_task='mse'),
    condition=dict(quality=8, task='mse', alpha=1.),
    train_condition=_base_.train_condition)
train_dataloader = dict(batch_size=8, dataset=dict(data_root='data/flicker2w'))
# The mean squared error alone.
objective = dict(_delete_=True, lmbda_rate=0., lmbda_distortion=0.01)
