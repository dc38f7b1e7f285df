"""YOLOX-nano on COCO, 80 classes, on images that nobody has coded.

A detector to put a codec in front of; it was not trained here. Testing needs
a part of COCO in `data/coco_sample`.
"""
_base_ = [
    'mmdet::_base_/default_runtime.py',
    '../_base_/task_models/yolox_nano.py',
    '../_base_/datasets/coco_sample_detection.py',
]
load_from = 'mmhmc://yolox-nano_coco'
train_dataloader = None
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
