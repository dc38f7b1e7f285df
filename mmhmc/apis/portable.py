"""A portable codec from an ordinary one."""
from collections.abc import Iterable
from pathlib import Path
from typing import Union

import torch
from torch import Tensor

from mmhmc.checkpoints import write_safetensors
from mmhmc.datasets import PICTURE_SUFFIXES, read_picture
from .codec_loading import CodecSource
from .file_pairs import pair_files

#: Side in pixels of the pieces that are looked at.
_LONGEST = 512


def write_portable_checkpoint(inputs: Iterable[Union[str, Path]],
                              out: Union[str, Path],
                              source: CodecSource,
                              max_pictures: int = 32,
                              force: bool = False) -> int:
    """Make a codec portable and write its weights, settings and tables.

    Of each picture its middle is used, as large as in the smallest of them
    and at most 512 pixels a side.

    Args:
        inputs: Picture files, and folders of such.
        out: Checkpoint to write, ``.safetensors``; it appears whole or not at
            all.
        source: The codec.
        max_pictures: Pictures to use at most, evenly chosen.
        force: Replace ``out`` if it exists.

    Returns:
        Number of pictures used.

    Raises:
        FileExistsError: If ``out`` exists.
        OSError: If a file cannot be opened.
        RuntimeError: If the codec has no integer form.
        ValueError: If a picture or a file of the codec cannot be used.
    """
    out = Path(out)
    if out.suffix != '.safetensors':
        raise ValueError(f'{out} must end in .safetensors.')
    if out.exists() and not force:
        raise FileExistsError(f'{out} exists. Give another name, or replace '
                              'it with --force.')
    files = [
        pair.source
        for pair in pair_files(inputs, PICTURE_SUFFIXES, lambda name: name)
    ]
    step = -(-len(files) // max_pictures)
    codec = source.load()
    pictures = _middles([read_picture(path) for path in files[::step]])
    codec.make_portable(pictures)
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(f'{out.name}.part')
    write_safetensors(codec.state_dict(), part)
    part.replace(out)
    return len(pictures)


def _middles(pictures: list[Tensor]) -> Tensor:
    """Pieces of one size, shape (B, 3, H, W)."""
    height, width = (
        min(_LONGEST, *(picture.shape[axis] for picture in pictures))
        for axis in (1, 2))
    pieces = []
    for picture in pictures:
        top = (picture.shape[1] - height) // 2
        left = (picture.shape[2] - width) // 2
        pieces.append(picture[:, top:top + height, left:left + width])
    return torch.stack(pieces)
