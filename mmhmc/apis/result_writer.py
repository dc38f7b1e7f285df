"""Files of an inferencer: bitstreams, images, drawings, predictions."""
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy import ndarray
from PIL import Image
from torch import Tensor

from mmhmc.datasets import write_image, write_png
from mmhmc.whole_files import whole_file, write_whole
from .file_pairs import image_name, stream_name
from .inference_inputs import EncodedImage, InputItem, check_names


class ResultWriter:
    """Writes results below a folder, or nothing without one.

    Args:
        out_dir: The folder, or None.
        items: Inputs; of two with one name the outputs would be one file.
        stream: Folder of bitstreams below ``out_dir``.
        image: Folder of decoded images below ``out_dir``.

    Raises:
        ValueError: If two inputs have one name.
    """

    def __init__(self,
                 out_dir: str | Path | None,
                 items: Sequence[InputItem],
                 stream: str = 'streams',
                 image: str = 'images') -> None:
        self.writes = out_dir is not None
        self._folder = Path(out_dir or '')
        self._stream, self._image = stream, image
        if self.writes:
            check_names(items)

    def stream(self, encoded: EncodedImage) -> EncodedImage:
        """Write a bitstream; gives it with its path."""
        if not self.writes:
            return encoded
        path = self._path(self._stream, stream_name(encoded.name))
        write_whole(path, encoded.bitstream.to_bytes())
        return replace(encoded, path=path)

    def image(self, name: str, x: Tensor) -> None:
        """Write a decoded image, (3, H, W) in [0, 1]."""
        if self.writes:
            write_image(self._path(self._image, image_name(name)), x)

    def drawing(self, name: str, pixels: ndarray) -> None:
        """Write a drawing, RGB, uint8, (H, W, 3)."""
        if self.writes:
            write_png(
                self._path('vis', image_name(name)), Image.fromarray(pixels))

    def prediction(self, encoded: EncodedImage, plain: dict) -> None:
        """Write JSON; arrays become PNG or .npy files that it names."""
        if not self.writes:
            return
        content = {}
        for key, value in plain.items():
            if isinstance(value, ndarray):
                value = self._array(f'{encoded.name}.{key}', value)
            content[key] = value
        path = self._path('preds', f'{encoded.name}.json')
        write_whole(path,
                    json.dumps(dict(content, rate=encoded.rate)).encode())

    def _array(self, name: str, values: ndarray) -> str:
        if values.dtype.kind in 'iu' and 0 <= values.min() and \
                values.max() < 256:
            path = self._path('preds', f'{name}.png')
            write_png(path, Image.fromarray(values.astype('uint8')))
        else:
            path = self._path('preds', f'{name}.npy')
            with whole_file(path) as part, part.open('wb') as file:
                np.save(file, values, allow_pickle=False)
        return path.name

    def _path(self, part: str, name: str) -> Path:
        path = self._folder / part / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path
