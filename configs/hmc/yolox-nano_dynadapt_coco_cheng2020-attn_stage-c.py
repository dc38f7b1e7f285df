"""As `yolox-nano_dynadapt_coco_stage-c.py`, with Cheng 2020 with attention."""
_base_ = ['./yolox-nano_dynadapt_coco_stage-c.py']
model = dict(
    backbone=dict(
        codec=dict(
            _delete_=True,
            type='mmhmc.Cheng2020Attention',
            hidden_channels=48)))
train_cfg = dict(max_iters=250, val_interval=250)
param_scheduler = [dict(_base_.param_scheduler[0], T_max=250)]
