"""Cheng 2020 with attention, trained for people on COCO."""
_base_ = ['../codecs/cheng2020-attn.py', './pretrained.py']
codec = dict(init_cfg=_base_.pretrained)
stages = [
    dict(
        name='codec',
        config='../cheng2020/cheng2020-attn_coco.py',
        result='model.backbone.codec.init_cfg.checkpoint')
]
