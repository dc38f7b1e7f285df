"""Parsing, what a face wears, and points, by one trunk."""
_base_ = [
    '../mmseg_runtime.py',
    '../task_models/face_several.py',
    '../datasets/celebamask_several.py',
]
randomness = dict(seed=0)
