"""Several tasks by one trunk, on images.

The reference of `layered_several_latent.py`.
"""
_base_ = [
    '../_base_/faces/several.py',
    '../_base_/schedules/layered_rgb.py',
]
