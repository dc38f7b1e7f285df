"""Points of a face, on images: reference of `layered_points_latent.py`."""
_base_ = [
    '../_base_/faces/points.py',
    '../_base_/schedules/layered_rgb.py',
]
