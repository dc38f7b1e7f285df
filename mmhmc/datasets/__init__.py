"""Data sets, their transforms, and checks that data are there."""
from .checks import check_coco, missing_coco_files
from .image_folder import ImageFolder
from .sample_instances import digest_sample_instances, make_sample_instances
from .transforms import PackImageInputs, RandomCropOrPad

__all__ = [
    'ImageFolder', 'PackImageInputs', 'RandomCropOrPad', 'check_coco',
    'digest_sample_instances', 'make_sample_instances', 'missing_coco_files'
]
