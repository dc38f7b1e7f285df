"""What the model zoo holds, read from ``model-index.yml``.

The index and its metafiles have the hosts' form, so that mim and mmengine
read them, too. A model has three keys beyond it: ``Options``, ``Size`` and
``SHA256``.
"""
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

_PACKAGE = Path(__file__).resolve().parents[1]
_INDEX = 'model-index.yml'
#: What stands before a name where an address of weights is expected.
ZOO = 'mmhmc://'
_WEIGHTS = ('.pth', '.pt', '.safetensors', '.tar', '.ckpt', '.bin', '.pkl')


@dataclass(frozen=True)
class ZooModel:
    """One model of the zoo: a row of a metafile.

    Args:
        name: By which it is asked for.
        config: File below ``configs``, such as ``hmc/NAME.py``.
        options: Settings of the config to override, by dotted name.
        weights: Name of the file with the weights, ``.safetensors``.
        url: Address of that file, or its path in the repository.
        sha256: SHA-256 of the file, 64 hexadecimal digits.
        size: Bytes of the file.
        summary: What it is, in a sentence.
        collection: Name of the method.
        results: For each data set its metrics by name: rates in bits per
            pixel (``bpp``) beside PSNR in dB, AP, mIoU.
        metadata: Training data and command, parameters, operations, times.
    """

    name: str
    config: str
    options: dict[str, Any]
    weights: str
    url: str
    sha256: str
    size: int
    summary: str
    collection: str
    results: dict[str, dict[str, Any]]
    metadata: dict[str, Any]


def list_models() -> dict[str, ZooModel]:
    """All models that have weights, by name.

    Raises:
        FileNotFoundError: If the index is not installed.
        ValueError: If the index or a metafile is no YAML.
    """
    return {
        row['Name']: _model(row)
        for row in _rows(_root()) if 'Weights' in row
    }


def find_model(name: str) -> ZooModel:
    """A model by its name.

    Args:
        name: As :func:`list_models` has it.

    Raises:
        FileNotFoundError: If the index is not installed.
        ValueError: If there is no such model, with the nearest names; or if
            there is only a config.
    """
    models = list_models()
    if name in models:
        return models[name]
    for file in find_configs(name):
        raise ValueError(
            f'{name!r} is a config without weights in the model zoo. Train '
            f'it, `mmhmc train {file.stem}`, or give a checkpoint.')
    near = near_names(name, models) or near_names(
        name, [file.stem for file in find_configs('*')])
    hint = f'; near it are {", ".join(near)}' if near else ''
    raise ValueError(f'The model zoo has no {name!r}{hint}. `mmhmc zoo list` '
                     'shows all.')


def near_names(name: str, names: Iterable[str]) -> list[str]:
    """Up to three names that somebody may have meant."""
    names = list(names)
    near = [one for one in names if name and name.lower() in one.lower()]
    near += get_close_matches(name, names, 3, 0.4)
    return list(dict.fromkeys(near))[:3]


def is_zoo_name(text: str) -> bool:
    """Whether a text is ``mmhmc://NAME`` or the bare name of a model.

    A text that could be a path is no name: one of a file that is there, with
    a folder, or with the ending of a checkpoint.
    """
    if text.startswith(ZOO):
        return True
    path = Path(text).expanduser()
    return not (path.name != text or path.suffix in _WEIGHTS or path.exists())


def find_configs(name: str) -> list[Path]:
    """Configs of this package that have a name; leaves before parts."""
    # What a glob would take for a pattern is no name of a config.
    stem = name.removesuffix('.py').rpartition('/')[2]
    if stem != '*' and not re.fullmatch(r'[\w.-]+', stem):
        return []
    folder = _root() / 'configs'
    leaves = sorted(folder.glob(f'[!_]*/{stem}.py'))
    return leaves or sorted(folder.glob(f'_base_/*/{stem}.py'))


def config_path(model: ZooModel) -> Path:
    """File of a model's config; :attr:`ZooModel.options` are not in it."""
    return _root() / 'configs' / model.config


def _root() -> Path:
    """Folder with the index and ``configs``: installed, or a checkout."""
    for root in (_PACKAGE / '.mim', _PACKAGE.parent):
        if (root / _INDEX).is_file():
            return root
    raise FileNotFoundError(
        f'{_PACKAGE / ".mim" / _INDEX} is missing, which says what the model '
        'zoo holds. Install mmhmc again.')


def _rows(root: Path) -> Iterator[dict]:
    for metafile in _read(root / _INDEX)['Import']:
        yield from _read(root / metafile)['Models']


def _read(path: Path) -> dict:
    try:
        return yaml.safe_load(path.read_text(encoding='utf-8'))
    except yaml.YAMLError as error:
        told = ' '.join(str(error).split())
        raise ValueError(f'{path} is no YAML: {told}') from error


def _model(row: dict) -> ZooModel:
    results = {}
    for result in row.get('Results', []):
        # Tasks may share a data set.
        results.setdefault(result['Dataset'], {}).update(result['Metrics'])
    return ZooModel(
        name=row['Name'],
        config=row['Config'].removeprefix('configs/'),
        options=row.get('Options', {}),
        weights=row['Weights'].rpartition('/')[2],
        url=row['Weights'],
        sha256=row['SHA256'],
        size=row['Size'],
        summary=row.get('Summary', ''),
        collection=row['In Collection'],
        results=results,
        metadata=row.get('Metadata', {}))
