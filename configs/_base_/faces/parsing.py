"""Face parsing: 19 classes of pixels."""
_base_ = [
    '../mmseg_runtime.py',
    '../task_models/face_parsing.py',
    '../datasets/celebamask_parsing.py',
]
randomness = dict(seed=0)
