"""Checkpoints by an address of the web: names of models, and downloads."""
import hashlib
import re
import sys
from collections import OrderedDict
from pathlib import Path
from urllib.parse import urlparse

import torch
from mmengine.dist import barrier, is_main_process
from mmengine.runner.checkpoint import (get_deprecated_model_names,
                                        get_external_models, get_mmcls_models,
                                        get_torchvision_models)

#: File names with a hash of the content, as of torchvision and OpenMMLab.
_HASH_IN_NAME = re.compile(r'[-_][0-9a-f]{8,64}\.')


def find_url(name: str) -> str | None:
    """Web address of a checkpoint; None for a file.

    Raises:
        ValueError: If the address begins with a scheme that is unknown, or
            the scheme has no such model.
    """
    scheme, colon, model = name.partition('://')
    if not colon:
        return None
    if scheme in ('http', 'https'):
        return name
    if scheme in ('torchvision', 'modelzoo'):
        models = get_torchvision_models()
    elif scheme in ('openmmlab', 'open-mmlab'):
        models = get_external_models()
        model = get_deprecated_model_names().get(model, model)
    elif scheme == 'mmcls':
        models = get_mmcls_models()
    else:
        raise ValueError(
            f'{name!r} begins with an address that is not known here; '
            'expected mmhmc, http, https, hf, torchvision, openmmlab, mmcls, '
            'compressai, package, s3 or petrel. Download it and give the '
            'file.')
    if model not in models:
        raise ValueError(f'{scheme}:// has no model {model!r}.')
    return models[model]


def backbone_of(checkpoint: dict) -> dict:
    """The backbone of a classifier's checkpoint."""
    state_dict = checkpoint.get('state_dict', checkpoint)
    prefix = 'backbone.'
    return dict(
        state_dict=OrderedDict((key[len(prefix):], value)
                               for key, value in state_dict.items()
                               if key.startswith(prefix)))


def fetch(url: str, sha256: str | None) -> Path:
    """Download into torch hub's cache, unless it is there.

    Raises:
        OSError: If it cannot be downloaded.
        ValueError: If the file has another SHA-256, or the address has no
            file name.
    """
    file_name = Path(urlparse(url).path).name
    if not file_name:
        raise ValueError(f'{url!r} names no file.')
    if not _HASH_IN_NAME.search(file_name):
        # Several addresses may end in `model.pth`.
        digest = hashlib.sha256(url.encode()).hexdigest()[:8]
        file_name = f'{digest}-{file_name}'
    file = Path(torch.hub.get_dir()) / 'checkpoints' / file_name
    # One process downloads for all that share a disk, the others look again.
    try:
        if is_main_process():
            _download(url, file, sha256)
    finally:
        barrier()
    _download(url, file, sha256)
    return file


def _download(url: str, file: Path, sha256: str | None) -> None:
    if file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        # Under another name until it is whole and its hash is right.
        torch.hub.download_url_to_file(
            url,
            str(file),
            hash_prefix=sha256.lower() if sha256 else None,
            progress=sys.stderr.isatty())
    except RuntimeError as error:
        raise ValueError(
            f'{url} is not what was expected: {error}.') from error
