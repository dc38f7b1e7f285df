"""Letting a host's pipeline read decoded images."""
from pathlib import Path

from mmcv.transforms import BaseTransform

from mmhmc.file_paths import path_below
from mmhmc.registry import TRANSFORMS


@TRANSFORMS.register_module()
class UseDecodedImage(BaseTransform):
    """Goes before a host's pipeline, which then reads what was decoded.

    Required and modified key: ``img_path``. An image ``ROOT/a/b.jpg``
    becomes ``DECODED/a/b.jpg.png``.

    Args:
        root: Folder of the originals.
        decoded: Folder of the decoded images.
    """

    def __init__(self, root: str, decoded: str) -> None:
        self.root = root
        self.decoded = Path(decoded)

    def transform(self, results: dict) -> dict:
        """Replace ``img_path``.

        Raises:
            FileNotFoundError: If this image was not coded.
            ValueError: If it is not in the folder of the originals.
        """
        path = results['img_path']
        name = path_below(path, self.root)
        if name is None:
            raise ValueError(f'{path} is not in {self.root}, the images '
                             'that were coded. The data set of the benchmark '
                             "and that of the host's config differ.")
        decoded = self.decoded / f'{name}.png'
        if not decoded.is_file():
            raise FileNotFoundError(
                f'{path} was not coded: there is no {decoded}. The data set '
                "of the benchmark lacks images of the host's config.")
        return dict(results, img_path=str(decoded))
