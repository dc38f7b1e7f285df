"""Dynamic adaptation (ICIP 2024) with Mask R-CNN R50-FPN on COCO 2017.

Stage A, the codec for people, is `cheng2020-attn_coco.py`; `tools/train.py`
runs it first, unless the codec is given:
`--cfg-options model.backbone.codec.init_cfg.checkpoint=FILE`. Stages B and C
follow. Four rates by `--lmbda`: 0.0018, 0.0035, 0.0067, 0.013. The detector
is the host's published one, frozen. Not trained here; the paper (another
detector, X101) reads 31.64 box AP at 0.161 bpp and 39.86 at 0.609.
"""
_base_ = [
    'mmdet::_base_/default_runtime.py',
    'mmdet::_base_/datasets/coco_instance.py',
    '../_base_/task_models/mask-rcnn_r50_fpn.py',
    '../_base_/trained_codecs/cheng2020-attn_coco.py',
    '../_base_/adapters/dynamic-adaptation.py',
    '../_base_/schedules/joint_adapt.py',
]
load_from = ('https://download.openmmlab.com/mmdetection/v2.0/mask_rcnn/'
             'mask_rcnn_r50_fpn_1x_coco/'
             'mask_rcnn_r50_fpn_1x_coco_20200205-d4b0c5d6.pth')
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmhmc.CodecBackbone',
        codec=_base_.codec,
        adapter=_base_.adapter,
        backbone=dict(_base_.model.backbone, init_cfg=None),
        input_norm=_base_.model.data_preprocessor))
val_evaluator = [_base_.val_evaluator, *_base_.coding_metrics]
test_evaluator = val_evaluator
