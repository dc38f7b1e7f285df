"""Test results of several models as one table.

A config lists them: each of ``tests`` is a row, and each of ``metrics`` a
column::

    metrics = {'rate/bpp': 'bpp', 'mIoU': 'mIoU'}
    tests = {
        'images': dict(config='configs/...', checkpoint='mmhmc://...'),
        'streams': dict(config='configs/...', checkpoint='FILE.pth',
                        cfg_options={'model.backbone.seen_channels': 32}),
    }
"""
import json
import os
from collections.abc import Mapping
from pathlib import Path

from mmengine.config import Config

from mmhmc.datasets import list_files
from mmhmc.visualization import Table
from mmhmc.whole_files import read_json, sha256_of, write_whole
from .benchmark.fingerprints import file_hash, fingerprint
from .config_files import locate, read_config
from .sample_data import innermost_datasets
from .testing import run_test
from .training import load_config, named_files

_KEYS = {'config', 'checkpoint', 'cfg_options'}
_NONE = '–'


def tabulate_tests(path: str | Path,
                   out_dir: str | Path = 'work_dirs') -> Table:
    """Test the models that a config lists, as `tools/test.py` does.

    A test with the same settings, weights and images is not run again:
    ``tested_models/NAME.json`` keeps its result.

    Args:
        path: Config with ``tests`` and ``metrics``.
        out_dir: Folder for results and logs.

    Returns:
        A row for each test. A cell without a number is a metric that this
        row does not have.

    Raises:
        FileNotFoundError: If a config, weights or data are missing.
        ValueError: If the config is none of a table, or no row has one of its
            metrics.
    """
    tests, metrics = _checked(read_config(path).to_dict(), path)
    folder = Path(out_dir) / 'tested_models'
    folder.mkdir(parents=True, exist_ok=True)
    name = locate(path).name
    store = folder / f'{name}.json'
    kept = _kept(store)
    found = {}
    for row, test in tests.items():
        cfg = load_config(test['config'], test.get('cfg_options'),
                          str(folder / name))
        checkpoint = test['checkpoint']
        key = fingerprint(
            [cfg.to_dict(),
             file_hash(checkpoint),
             _contents(cfg)])
        if key not in kept:
            kept[key] = {
                name: float(value)
                for name, value in run_test(cfg, checkpoint).items()
            }
            write_whole(store, json.dumps(kept, indent=1).encode())
        found[row] = kept[key]
    for name in metrics:
        if not any(name in values for values in found.values()):
            there = sorted(set().union(*found.values()))
            raise ValueError(f'No test of {path} has the metric {name!r}; '
                             f'there are {", ".join(there)}.')
    return Table(('', *metrics.values()),
                 [(row, *(f'{values[name]:.4f}' if name in values else _NONE
                          for name in metrics))
                  for row, values in found.items()])


def _contents(cfg: Config) -> list[str]:
    """Hashes of all files that a test reads, but for the checkpoint."""
    files = set(named_files(cfg.to_dict()))
    for dataset in innermost_datasets(cfg.get('test_dataloader') or {}):
        root = dataset.get('data_root') or ''
        prefixes = dataset.get('data_prefix') or ''
        if not isinstance(prefixes, dict):
            prefixes = dict(img_path=prefixes)
        files.add(os.path.join(root, dataset.get('ann_file') or ''))
        for prefix in prefixes.values() or ['']:
            folder = os.path.join(root, prefix or '')
            if folder and os.path.isdir(folder):
                files.update(map(str, list_files(folder)))
    return [
        f'{path} {sha256_of(path)}' for path in sorted(files)
        if os.path.isfile(path)
    ]


def _kept(store: Path) -> dict:
    """Results of earlier tests; none if a crash has left half a file."""
    try:
        kept = read_json(store)
    except (FileNotFoundError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _checked(cfg: dict, path: str | Path) -> tuple[dict, dict]:
    """Rows and columns of a table."""
    tests, metrics = cfg.get('tests'), cfg.get('metrics')
    if not tests or not metrics:
        raise ValueError(f'{path} needs `tests`, the rows of a table, and '
                         '`metrics`, its columns.')
    for row, test in tests.items():
        given = set(test) if isinstance(test, Mapping) else set()
        if not {'config', 'checkpoint'} <= given <= _KEYS:
            raise ValueError(
                f'Test {row!r} of {path} must have `config` and `checkpoint`, '
                f'and may have `cfg_options`; it has {sorted(given)}.')
    return tests, metrics
