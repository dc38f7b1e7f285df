"""The base of a file for PSPNet, on CamVid.

As `mask-rcnn_layers_sample.py`, for a second task. Needs `data/camvid`; codec
and host come trained from the zoo and stay as they are.
"""
_base_ = [
    '../_base_/mmseg_runtime_by_iter.py',
    '../_base_/task_models/pspnet_csp-nano.py',
    '../_base_/datasets/camvid_semantic.py',
    '../_base_/codecs/mean-scale-hyperprior_small.py',
    '../_base_/schedules/joint_adapt_muon.py',
]
load_from = 'mmhmc://pspnet_csp-nano_camvid'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmhmc.CodecBackbone',
        codec=dict(
            _base_.codec,
            layers=[3],
            init_cfg=dict(
                type='Pretrained',
                checkpoint='mmhmc://mean-scale-hyperprior_pictures_0.0067',
                prefix='codec.')),
        machine_layers=1,
        adapter=dict(type='mmhmc.MachineSynthesis'),
        backbone=dict(_base_.model.backbone, init_cfg=None),
        input_norm=_base_.model.data_preprocessor))
train_dataloader = dict(batch_size=2)
train_cfg = dict(
    _delete_=True, type='IterBasedTrainLoop', max_iters=600, val_interval=600)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
param_scheduler = [
    dict(
        type='CosineAnnealingLR',
        by_epoch=False,
        T_max=600,
        eta_min_ratio=0.05)
]
objective = dict(lmbda_distortion=0., perceptual_of='x_bar')
training_stages = dict(
    _delete_=True, by_epoch=False, reader=dict(begin=0, trainable=['adapter']))
val_evaluator = _base_.val_evaluator + _base_.coding_metrics
test_evaluator = val_evaluator
default_hooks = dict(checkpoint=dict(interval=200))
randomness = dict(seed=0)
