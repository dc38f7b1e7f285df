"""Data sets, their transforms, image files, and checks that data are there.
"""
from mmhmc.file_paths import list_files, path_below
from mmhmc.former_names import former_attribute
from .celebamask import (ACCESSORIES, FACE_PARTS, FACE_POINTS, CelebAMaskHQ,
                         celeba_split, face_points, find_accessories,
                         merge_parts)
from .checks import check_coco, missing_coco_files
from .decoded_images import UseDecodedImage
from .image_files import (IMAGE_SUFFIXES, encode_png, has_note, read_image,
                          read_note, read_size, write_image, write_png)
from .image_folder import ImageFolder
from .sample_instances import digest_sample_instances, make_sample_instances
from .transforms import PackImageInputs, RandomCropOrPad

__all__ = [
    'CelebAMaskHQ', 'FACE_PARTS', 'FACE_POINTS', 'ImageFolder',
    'IMAGE_SUFFIXES', 'PackImageInputs', 'RandomCropOrPad', 'UseDecodedImage',
    'ACCESSORIES', 'celeba_split', 'check_coco', 'digest_sample_instances',
    'face_points', 'has_note', 'list_files', 'make_sample_instances',
    'merge_parts', 'missing_coco_files', 'path_below', 'read_note',
    'read_image', 'read_size', 'find_accessories', 'encode_png', 'write_image',
    'write_png'
]

__getattr__ = former_attribute(__name__)
