"""Face parsing on both streams of a layered codec that learns with it.

Compare with the separate regime, `layered_parsing_latent.py`.
"""
_base_ = [
    '../_base_/faces/parsing.py',
    '../_base_/trained_codecs/layered.py',
    '../_base_/schedules/layered_joint.py',
]
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmhmc.LatentBackbone',
        codec=_base_.codec,
        input_norm=_base_.model.data_preprocessor))
val_evaluator = _base_.val_evaluator + _base_.coding_metrics
test_evaluator = val_evaluator
