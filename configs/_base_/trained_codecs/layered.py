"""The layered codec, trained for people on faces."""
_base_ = ['../codecs/layered.py', './pretrained.py']
codec = dict(init_cfg=_base_.pretrained)
stages = [
    dict(
        name='codec',
        config='layered_codec.py',
        result='model.backbone.codec.init_cfg.checkpoint')
]
