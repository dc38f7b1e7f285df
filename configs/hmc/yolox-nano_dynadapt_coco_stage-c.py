"""Stage C once more, after `yolox-nano_dynadapt_coco.py`, whose end is short.

The adaptation alone learns, mostly from the features of the detector's
backbone: `--cfg-options load_from=FILE` names what the stages before made, so
bits and what people see stay as they are.
"""
_base_ = ['./yolox-nano_dynadapt_coco.py']
stages = []
load_from = None
model = dict(backbone=dict(codec=dict(init_cfg=None)))
train_cfg = dict(max_iters=600, val_interval=600)
param_scheduler = [dict(_base_.param_scheduler[0], T_max=600)]
custom_hooks = [
    dict(_base_.custom_hooks[0], lmbda_perceptual=2.),
    dict(
        type='mmhmc.TrainingStageHook',
        by_epoch=False,
        stages=[dict(begin=0, trainable=['adapter'])]),
    *_base_.custom_hooks[2:]
]
