"""Pipeline steps for images without annotations."""
from collections.abc import Sequence

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmengine.structures import BaseDataElement

from mmhmc.registry import TRANSFORMS


@TRANSFORMS.register_module()
class RandomCropOrPad(BaseTransform):
    """Cut a piece of fixed size at a random place.

    An image that is too small is continued by reflection at its bottom and
    right edge. It is not enlarged: an enlarged image is smoother than the
    images a codec will meet, and costs fewer bits.

    Required and modified key: ``img`` (H, W, 3); modified: ``img_shape``.

    Args:
        crop_size: Height and width in pixels, or one number for both.

    Raises:
        ValueError: If a side is not positive.
    """

    def __init__(self, crop_size: int | Sequence[int]) -> None:
        sides = (crop_size, ) * 2 if isinstance(crop_size, int) else crop_size
        if len(sides) != 2 or min(sides) < 1:
            raise ValueError('`crop_size` must be one or two positive '
                             f'integers, got {crop_size}.')
        self.crop_size = tuple(sides)

    @cache_randomness
    def random_place(self, free: tuple[int, int]) -> tuple[int, int]:
        """Top and left of the piece.

        Args:
            free: Largest top and largest left.
        """
        top, left = (int(np.random.randint(most + 1)) for most in free)
        return top, left

    def transform(self, results: dict) -> dict:
        """Replace ``img`` by a piece of it."""
        img = results['img']
        lacking = [
            max(0, want - have)
            for want, have in zip(self.crop_size, img.shape)
        ]
        if any(lacking):
            img = np.pad(
                img, [(0, lacking[0]), (0, lacking[1]), (0, 0)],
                mode='reflect')
        height, width = self.crop_size
        top, left = self.random_place(
            (img.shape[0] - height, img.shape[1] - width))
        results['img'] = img[top:top + height, left:left + width]
        results['img_shape'] = self.crop_size
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(crop_size={self.crop_size})'


@TRANSFORMS.register_module()
class PackImageInputs(BaseTransform):
    """Turn a loaded image into the input of a model without annotations.

    Required keys: ``img``, ``ori_shape``, ``img_shape``; ``img_path`` and
    ``img_id`` are passed on if there are any.
    """

    META_KEYS = ('img_path', 'img_id', 'ori_shape', 'img_shape')

    def transform(self, results: dict) -> dict:
        """Pack an image.

        Args:
            results: ``img`` is BGR in [0, 255], uint8, shape (H, W, 3).

        Returns:
            ``inputs``, the same values with shape (3, H, W), and
            ``data_samples``, whose metainfo holds ``META_KEYS``.

        Raises:
            ValueError: If the image has another shape or type.
        """
        img = results['img']
        if img.ndim != 3 or img.shape[2] != 3 or img.dtype != np.uint8:
            raise ValueError(
                f"`img` of {results.get('img_path')} must be uint8 with shape "
                f'(H, W, 3), got {img.dtype} {img.shape}. Load it with '
                "`dict(type='LoadImageFromFile')` at its defaults, and leave "
                'normalisation to the data preprocessor.')
        inputs = torch.from_numpy(np.ascontiguousarray(img.transpose(2, 0, 1)))
        metainfo = {k: results[k] for k in self.META_KEYS if k in results}
        return dict(
            inputs=inputs, data_samples=BaseDataElement(metainfo=metainfo))

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
