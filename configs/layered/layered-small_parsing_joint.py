"""`layered_parsing_joint.py` on the streams of `layered-small_codec.py`."""
_base_ = [
    '../_base_/faces/parsing_small.py',
    '../_base_/trained_codecs/layered_small.py',
    '../_base_/schedules/layered_small_joint.py',
]
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmhmc.LatentBackbone',
        codec=_base_.codec,
        input_norm=_base_.model.data_preprocessor))
val_evaluator = _base_.val_evaluator + _base_.coding_metrics
test_evaluator = val_evaluator
