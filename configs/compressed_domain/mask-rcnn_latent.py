"""Mask R-CNN heads on the latent of the codec of dynamic adaptation, COCO.

The files are those of `configs/hmc/mask-rcnn_dynadapt.py`, read without
decoding an image.
"""
_base_ = [
    'mmdet::_base_/default_runtime.py',
    'mmdet::_base_/datasets/coco_instance.py',
    '../_base_/task_models/mask-rcnn_r50_fpn.py',
    '../_base_/trained_codecs/cheng2020-attn_coco.py',
    '../_base_/schedules/latent_heads.py',
]
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmhmc.LatentBackbone',
        codec=_base_.codec,
        input_norm=_base_.model.data_preprocessor),
    neck=dict(
        _delete_=True,
        type='mmhmc.CompressedDomainNeck',
        in_channels=192,
        out_channels=256))
# From scratch, a few images for each device: their statistics together.
sync_bn = 'torch'
optim_wrapper = dict(optimizer=dict(lr=1e-4, weight_decay=0.05))
val_evaluator = [_base_.val_evaluator, *_base_.coding_metrics]
test_evaluator = val_evaluator
