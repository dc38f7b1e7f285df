"""Dynamic adaptation (ICIP 2024) with the paper's Mask R-CNN X101-32x8d-FPN.

The paper uses detectron2's weights (44.3 box / 39.5 mask AP uncompressed);
these are mmdet's (44.0 / 39.3). Stages and rates as `mask-rcnn_dynadapt.py`.
Not trained here.
"""
_base_ = [
    'mmdet::_base_/default_runtime.py',
    'mmdet::_base_/datasets/coco_instance.py',
    '../_base_/task_models/mask-rcnn_x101-32x8d_fpn.py',
    '../_base_/codecs/cheng2020-attn.py',
    '../_base_/adapters/dynamic-adaptation.py',
    '../_base_/schedules/joint_adapt.py',
]
stages = [
    dict(
        name='codec',
        config='cheng2020-attn_coco.py',
        result='model.backbone.codec.init_cfg.checkpoint')
]
load_from = ('https://download.openmmlab.com/mmdetection/v2.0/mask_rcnn/'
             'mask_rcnn_x101_32x8d_fpn_mstrain-poly_3x_coco/'
             'mask_rcnn_x101_32x8d_fpn_mstrain-poly_3x_coco_20210607_161042-'
             '8bd2c639.pth')
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmhmc.CodecBackbone',
        codec=dict(
            **_base_.codec,
            init_cfg=dict(type='Pretrained', checkpoint=None,
                          prefix='codec.')),
        adapter=_base_.adapter,
        backbone=_base_.model.backbone,
        input_norm=_base_.model.data_preprocessor))
val_evaluator = [
    _base_.val_evaluator,
    dict(type='mmhmc.BitrateMetric'),
    dict(type='mmhmc.PSNRMetric'),
    dict(type='mmhmc.MSSSIMMetric')
]
test_evaluator = val_evaluator
