"""Points of a face."""
_base_ = [
    './mmpretrain_runtime.py',
    '../task_models/face_points.py',
    '../datasets/celebamask_points.py',
]
