"""Data sets, their transforms, picture files, and checks that data are there.
"""
from .checks import check_coco, missing_coco_files
from .image_folder import ImageFolder
from .picture_files import (PICTURE_SUFFIXES, read_note, read_picture,
                            read_size, write_picture, write_whole)
from .sample_instances import digest_sample_instances, make_sample_instances
from .transforms import PackImageInputs, RandomCropOrPad

__all__ = [
    'ImageFolder', 'PICTURE_SUFFIXES', 'PackImageInputs', 'RandomCropOrPad',
    'check_coco', 'digest_sample_instances', 'make_sample_instances',
    'missing_coco_files', 'read_note', 'read_picture', 'read_size',
    'write_picture', 'write_whole'
]
