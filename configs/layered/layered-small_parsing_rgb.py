"""`layered_parsing_rgb.py` with the trunk of the other small configs."""
_base_ = [
    '../_base_/faces/parsing_small.py',
    '../_base_/schedules/layered_small_rgb.py',
]
