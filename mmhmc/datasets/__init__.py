"""Data sets, their transforms, picture files, and checks that data are there.
"""
from mmhmc.whole_files import write_whole
from .celebamask import (FACE_PARTS, FACE_POINTS, WORN_PARTS, CelebAMaskHQ,
                         celeba_split, face_points, merge_parts, worn_parts)
from .checks import check_coco, missing_coco_files
from .decoded_pictures import UseDecodedPicture
from .file_paths import list_files, path_below
from .image_folder import ImageFolder
from .picture_files import (PICTURE_SUFFIXES, has_note, read_note,
                            read_picture, read_size, write_picture, write_png)
from .sample_instances import digest_sample_instances, make_sample_instances
from .transforms import PackImageInputs, RandomCropOrPad

__all__ = [
    'CelebAMaskHQ', 'FACE_PARTS', 'FACE_POINTS', 'ImageFolder',
    'PICTURE_SUFFIXES', 'PackImageInputs', 'RandomCropOrPad',
    'UseDecodedPicture', 'WORN_PARTS', 'celeba_split', 'check_coco',
    'digest_sample_instances', 'face_points', 'has_note', 'list_files',
    'make_sample_instances', 'merge_parts', 'missing_coco_files', 'path_below',
    'read_note', 'read_picture', 'read_size', 'worn_parts', 'write_picture',
    'write_png', 'write_whole'
]
