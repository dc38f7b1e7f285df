"""The small MPA, trained for people: the path of a task begins with it."""
_base_ = ['../codecs/mpa_small.py', './pretrained.py']
codec = dict(init_cfg=_base_.pretrained)
train_condition = dict(
    quality=[1, 2, 3, 4, 5, 6, 7, 8],
    # Most often what it is tested at.
    alpha=[0.25, 0.5, 0.75, 1., 1., 1.])
stages = [
    dict(
        name='people',
        config='mpa-small_stage1b_pictures.py',
        result='model.backbone.codec.init_cfg.checkpoint')
]
