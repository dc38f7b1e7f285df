"""Classes of pixels of the built-in data set, by a small FCN."""
_base_ = [
    '../mmseg_runtime.py',
    '../task_models/fcn_r18_small.py',
    '../datasets/sample_semantic.py',
]
randomness = dict(seed=0)
