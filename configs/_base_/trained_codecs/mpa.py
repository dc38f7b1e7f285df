"""MPA, trained for people: the path of a task begins with it."""
_base_ = ['../codecs/mpa.py', './pretrained.py']
codec = dict(tasks=['mse', 'cls', 'seg', 'det'], init_cfg=_base_.pretrained)
train_condition = dict(
    quality=[1, 2, 3, 4, 5, 6, 7, 8], alpha=[k / 7 for k in range(8)])
stages = [
    dict(
        name='people',
        config='mpa_stage1b.py',
        result='model.backbone.codec.init_cfg.checkpoint')
]
