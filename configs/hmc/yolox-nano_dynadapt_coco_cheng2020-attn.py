"""As `yolox-nano_dynadapt_coco.py`, with Cheng 2020 with attention."""
_base_ = ['yolox-nano_dynadapt_coco.py']
stages = [
    dict(
        name='codec',
        config='../cheng2020/cheng2020-attn_pictures.py',
        result='model.backbone.codec.init_cfg.checkpoint')
]
model = dict(
    backbone=dict(
        codec=dict(
            _delete_=True,
            type='mmhmc.Cheng2020Attention',
            hidden_channels=32,
            latent_channels=76,
            init_cfg=_base_.pretrained)))
