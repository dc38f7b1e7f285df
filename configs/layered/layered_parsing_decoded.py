"""Face parsing on decoded images: decode, then the network for images.

To test the network of `layered_parsing_rgb.py` as it is, give its checkpoint
to `tools/test.py`.
"""
_base_ = [
    '../_base_/faces/parsing.py',
    '../_base_/trained_codecs/layered.py',
    '../_base_/schedules/layered_heads.py',
]
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmhmc.CodecBackbone',
        codec=_base_.codec,
        backbone=_base_.model.backbone,
        input_norm=_base_.model.data_preprocessor))
val_evaluator = _base_.val_evaluator + [dict(type='mmhmc.BitrateMetric')]
test_evaluator = val_evaluator
