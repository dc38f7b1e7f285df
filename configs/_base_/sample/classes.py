"""Classes of the built-in images, by a small ResNet-18."""
_base_ = [
    'mmpretrain::_base_/default_runtime.py',
    '../task_models/resnet18_small.py',
    '../datasets/sample_classes.py',
]
default_hooks = dict(
    logger=dict(interval=20), checkpoint=dict(max_keep_ckpts=2))
randomness = dict(seed=0)
