"""As `yolox-nano_dynadapt_coco_stage-c.py`, with Cheng 2020 with attention."""
_base_ = ['./yolox-nano_dynadapt_coco_cheng2020-attn.py']
stages = []
load_from = None
model = dict(backbone=dict(codec=dict(init_cfg=None)))
train_cfg = dict(max_iters=250, val_interval=250)
param_scheduler = [dict(_base_.param_scheduler[0], T_max=250)]
custom_hooks = [
    dict(_base_.custom_hooks[0], lmbda_perceptual=2.),
    dict(
        type='mmhmc.TrainingStageHook',
        by_epoch=False,
        stages=[dict(begin=0, trainable=['adapter'])]),
    *_base_.custom_hooks[2:]
]
