"""Small MPA with all its tasks, from merged weights, tested on Kodak.

`tools/model_converters/merge_mpa.py` merges what the stages have trained.
Rate and task: `--cfg-options model.condition.quality=4
model.condition.task=seg`.
"""
_base_ = ['mpa-small_mse_pictures.py']
stages = []
model = dict(codec=dict(trained_task=None, init_cfg=None))
