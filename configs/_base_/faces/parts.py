"""What a face wears."""
_base_ = [
    './mmpretrain_runtime.py',
    '../task_models/face_parts.py',
    '../datasets/celebamask_parts.py',
]
