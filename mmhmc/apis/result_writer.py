"""Files of an inferencer: bitstreams, images, drawings, predictions."""
import json
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy import ndarray
from PIL import Image
from torch import Tensor

from mmhmc.datasets import encode_png
from mmhmc.whole_files import write_whole
from .file_pairs import image_name, stream_name
from .inference_inputs import EncodedImage, InputItem, check_names


class ResultWriter:
    """Writes results below a folder, or nothing without one.

    Args:
        out_dir: The folder, or None.
        items: Inputs; of two with one name the outputs would be one file.
        stream: Folder of bitstreams below ``out_dir``.
        image: Folder of decoded images below ``out_dir``.
        force: Whether to replace files that exist and differ; each method
            raises a ``FileExistsError`` otherwise.

    Raises:
        ValueError: If two inputs have one name.
    """

    def __init__(self,
                 out_dir: str | Path | None,
                 items: Sequence[InputItem],
                 stream: str = 'streams',
                 image: str = 'images',
                 force: bool = False) -> None:
        self.writes = out_dir is not None
        self._folder = Path(out_dir or '')
        self._stream, self._image = stream, image
        self._force = force
        if self.writes:
            check_names(items)

    def stream(self, encoded: EncodedImage) -> EncodedImage:
        """Write a bitstream; gives it with its path."""
        if not self.writes:
            return encoded
        path = self._write(self._stream, stream_name(encoded.name),
                           encoded.bitstream.to_bytes())
        return replace(encoded, path=path)

    def image(self, name: str, x: Tensor) -> None:
        """Write a decoded image, (3, H, W) in [0, 1]."""
        if self.writes:
            self._write(self._image, image_name(name), encode_png(x))

    def drawing(self, name: str, pixels: ndarray) -> None:
        """Write a drawing, RGB, uint8, (H, W, 3)."""
        if self.writes:
            self._write('vis', image_name(name),
                        encode_png(Image.fromarray(pixels)))

    def prediction(self, encoded: EncodedImage, plain: dict) -> None:
        """Write JSON; arrays become PNG or .npy files that it names."""
        if not self.writes:
            return
        content = {}
        for key, value in plain.items():
            if isinstance(value, ndarray):
                value = self._array(f'{encoded.name}.{key}', value)
            content[key] = value
        self._write('preds', f'{encoded.name}.json',
                    json.dumps(dict(content, rate=encoded.rate)).encode())

    def _array(self, name: str, values: ndarray) -> str:
        if values.dtype.kind in 'iu' and 0 <= values.min() and \
                values.max() < 256:
            ending = '.png'
            data = encode_png(Image.fromarray(values.astype('uint8')))
        else:
            content, ending = BytesIO(), '.npy'
            np.save(content, values, allow_pickle=False)
            data = content.getvalue()
        return self._write('preds', f'{name}{ending}', data).name

    def _write(self, part: str, name: str, data: bytes) -> Path:
        path = self._folder / part / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not self._force:
            # What an earlier run wrote is there again, unless it was changed.
            if path.is_dir() or path.read_bytes() != data:
                raise FileExistsError(
                    f'{path} exists and has other content. Move it away, '
                    'name another folder, or replace it with `force=True` '
                    '(--force).')
            return path
        write_whole(path, data)
        return path
