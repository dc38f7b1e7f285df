"""Testing one checkpoint of a codec with several rates at some of them."""
import hashlib
import json
from collections.abc import Sequence
from math import isfinite
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import barrier, broadcast_object_list, is_main_process
from mmengine.logging import print_log

from mmhmc.codecs.streams import as_stored
from mmhmc.engine.parts import find_codec_wrappers, unwrap
from mmhmc.evaluation import RateCurve
from mmhmc.evaluation.metric_direction import lower_of
from mmhmc.structures import CodingCondition
from mmhmc.visualization import Table, draw_curves
from mmhmc.whole_files import read_json, sha256_of, write_whole
from .testing import build_tester
from .training import TrainingError, named_files

#: Rates in the order in which one is taken for the axis.
_RATES = ('rate/bpp', 'rate/bpp_estimated')
_FOLDER = 'qualities'


def run_qualities(cfg: Config,
                  checkpoint: str,
                  qualities: Sequence[float],
                  launcher: str = 'none') -> list[dict]:
    """Test one checkpoint at several qualities: a whole curve.

    ``qualities/`` in the config's ``work_dir`` gets ``results.json``, a table
    ``results.md`` and for each metric a figure over the rate. Results of a
    run that was stopped are taken from there, if weights and settings are the
    same.

    Args:
        cfg: From :func:`mmhmc.apis.training.load_config`.
        checkpoint: File or address of the weights.
        qualities: In the range of the codec, also between whole ones.
        launcher: See mmengine.

    Returns:
        For each quality, rising, ``quality`` and ``metrics``.

    Raises:
        FileNotFoundError: If data are missing.
        TrainingError: If a codec has one rate, or not these qualities.
        ValueError: If nothing has weights of the codec, or of the host.
    """
    key = _fingerprint(cfg, checkpoint)
    runner = build_tester(cfg, checkpoint, launcher)
    coders = find_codec_wrappers(unwrap(runner.model))
    qualities = sorted({
        as_stored(CodingCondition(quality=quality)).quality
        for quality in qualities
    })
    for coder in coders:
        _check(coder.codec, qualities)
    folder = Path(cfg.work_dir) / _FOLDER
    found = _read(folder / 'results.json', key)
    for quality in qualities:
        if quality in found:
            print_log(f'Quality {quality:g} has been tested already.',
                      'current')
            continue
        for coder in coders:
            coder.choose_condition.fix(quality=quality)
        metrics = _numbers(runner.test())
        found[quality] = dict(
            quality=quality,
            metrics=metrics,
            lower_is_better=lower_of(runner.test_evaluator.metrics, metrics))
        _write(folder / 'results.json', key, found)
    rows = [found[quality] for quality in qualities]
    if is_main_process():
        print_log(f'{write_curve(rows, folder)}\nWritten to {folder}.',
                  'current')
    barrier()
    return rows


def write_curve(rows: Sequence[dict], folder: Path) -> str:
    """Write the table and the figures of some qualities.

    Args:
        rows: See :func:`run_qualities`.
        folder: Where they go.

    Returns:
        The table, as Markdown.
    """
    names = [
        name for name in rows[0]['metrics']
        if all(name in row['metrics'] for row in rows)
    ]
    rate = next((name for name in _RATES if name in names), None)
    shown = [name for name in names if not name.startswith('rate/')]
    columns = [rate] * (rate is not None) + shown
    table = Table(('quality', *columns), [[
        f'{row["quality"]:g}', *(f'{row["metrics"][name]:.4f}'
                                 for name in columns)
    ] for row in rows]).to_markdown()
    write_whole(folder / 'results.md', table.encode())
    for name in shown if rate else ():
        points = [(row['metrics'][rate], row['metrics'][name],
                   f'quality {row["quality"]:g}') for row in rows
                  if isfinite(row['metrics'][name])]
        # COCO's metric is -1 where there is nothing to find.
        if len({point[1] for point in points}) > 1:
            bpp, quality, labels = zip(*points)
            curve = RateCurve('one model', bpp, quality, labels, name, name
                              in rows[0]['lower_is_better'])
            draw_curves([curve], folder / name.replace('/', '_'))
    return table


def _check(codec, qualities: Sequence[float]) -> None:
    name, count = type(codec).__name__, getattr(codec, 'num_qualities', 0)
    if not count:
        raise TrainingError(
            f'{name} has one rate, and no qualities to test at: test a '
            'checkpoint for each rate, or build it with `variable_rate=True` '
            'and weights that were trained so.')
    outside = [q for q in qualities if not 1 <= q <= count]
    if outside:
        raise TrainingError(f'{name} has the qualities 1 to {count}, asked '
                            f'for {", ".join(f"{q:g}" for q in outside)}.')


def _numbers(metrics: dict) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in metrics.items() if isinstance(value, (int, float))
    }


def _fingerprint(cfg: Config, checkpoint: str) -> str:
    """Of all that decides the results."""
    settings = [
        cfg.get(name) for name in ('model', 'load_from', 'test_dataloader',
                                   'test_evaluator', 'objective')
    ]
    files = sorted(set(named_files([*settings[:2], checkpoint])))
    content = json.dumps([checkpoint, settings, *map(sha256_of, files)],
                         default=str)
    return hashlib.sha256(content.encode()).hexdigest()


def _read(path: Path, key: str) -> dict[float, dict]:
    """Results so far, the same in all processes."""
    found = [{}]
    if is_main_process():
        try:
            content = read_json(path)
            if content['key'] == key:
                found = [{row['quality']: row for row in content['results']}]
        except (FileNotFoundError, ValueError, LookupError, TypeError):
            pass
    broadcast_object_list(found)
    return found[0]


def _write(path: Path, key: str, found: dict[float, dict]) -> None:
    if is_main_process():
        rows = [found[quality] for quality in sorted(found)]
        content = json.dumps(dict(key=key, results=rows), indent=1)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content.encode())
