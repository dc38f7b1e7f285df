"""`init_cfg` of a codec that has been trained for people.

Its file: `--cfg-options model.backbone.codec.init_cfg.checkpoint=FILE`; else
`tools/train.py` trains the codec first, as `stages` says.
"""
pretrained = dict(type='Pretrained', checkpoint=None, prefix='codec.')
