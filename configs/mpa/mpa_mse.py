"""MPA, stage 2: the path of the mean squared error."""
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/codecs/mpa.py',
    '../_base_/datasets/picture_crops.py',
    '../_base_/schedules/mpa_stage2.py',
]
stages = [
    dict(
        name='people',
        config='mpa_stage1b.py',
        result='model.codec.init_cfg.checkpoint')
]
model = dict(
    type='mmhmc.CodecModel',
    codec=dict(
        _base_.codec,
        trained_task='mse',
        init_cfg=dict(type='Pretrained', checkpoint=None, prefix='codec.')),
    condition=dict(quality=8, task='mse', alpha=1.),
    train_condition=dict(
        quality=[1, 2, 3, 4, 5, 6, 7, 8], alpha=[k / 7 for k in range(8)]))
train_dataloader = dict(batch_size=8, dataset=dict(data_root='data/flicker2w'))
# The mean squared error alone.
custom_hooks = [
    dict(type='mmhmc.RateLossHook', lmbda_rate=0., lmbda_distortion=0.01),
    *_base_.custom_hooks[1:]
]
