"""What a face wears, on both streams of a frozen layered codec."""
_base_ = [
    '../_base_/faces/parts.py',
    '../_base_/trained_codecs/layered.py',
    '../_base_/schedules/layered_heads.py',
]
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmhmc.LatentBackbone',
        codec=_base_.codec,
        input_norm=_base_.model.data_preprocessor))
val_evaluator = _base_.val_evaluator + _base_.coding_metrics
test_evaluator = val_evaluator
