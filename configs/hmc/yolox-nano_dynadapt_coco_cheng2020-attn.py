"""As `yolox-nano_dynadapt_coco.py`, with Cheng 2020 with attention.

A step takes nearly twice as long, so there are fewer.
"""
_base_ = ['./yolox-nano_dynadapt_coco.py']
stages = [
    dict(
        name='codec',
        config='cheng2020-attn_pictures.py',
        result='model.backbone.codec.init_cfg.checkpoint')
]
model = dict(
    backbone=dict(
        codec=dict(
            _delete_=True,
            type='mmhmc.Cheng2020Attention',
            hidden_channels=48,
            init_cfg=dict(
                type='Pretrained', checkpoint=None, prefix='codec.'))))
train_cfg = dict(max_iters=300, val_interval=300)
param_scheduler = [dict(_base_.param_scheduler[0], T_max=300)]
custom_hooks = [
    _base_.custom_hooks[0],
    dict(
        type='mmhmc.TrainingStageHook',
        by_epoch=False,
        stages=[
            dict(begin=0, trainable=['codec', 'adapter']),
            dict(begin=240, trainable=['adapter'])
        ]), *_base_.custom_hooks[2:]
]
