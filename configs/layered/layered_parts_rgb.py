"""What a face wears, on images: reference of `layered_parts_latent.py`."""
_base_ = [
    '../_base_/faces/parts.py',
    '../_base_/schedules/layered_rgb.py',
]
