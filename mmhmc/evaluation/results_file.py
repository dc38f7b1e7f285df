"""The results file of a benchmark: JSON lines."""
import json
from pathlib import Path

from .benchmark_results import Results

#: Version of the results file that this release reads and writes.
FORMAT = 1
#: Keys of a line that name what the line is about.
_NAMES = dict(
    coded=('codec', 'point', 'dataset', 'image'),
    task=('codec', 'point', 'dataset', 'task'),
    point=('codec', 'point'),
    complexity=('codec', 'point'),
    failure=('codec', 'point', 'dataset', 'stage', 'task', 'image'))


def read_results(path: str | Path) -> Results:
    """Read a results file: JSON lines, the first one on the run.

    Lines that an interruption cut are ignored and counted.

    Args:
        path: The file.

    Returns:
        What the file says.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it has no line on the run, if it was written in
            another version of the format, or if a line is of no known kind.
    """
    path = Path(path)
    run, tables, num_cut = None, {kind: {} for kind in _NAMES}, 0
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        row = parse_line(line)
        if row is None:
            num_cut += bool(line.strip())
            continue
        kind = row.get('kind')
        if kind == 'run':
            _check_format(path, row)
            run = row
        elif run is None:
            break
        elif kind in tables:
            _add(tables, path, number, row)
        else:
            raise ValueError(
                f'{path}, line {number}: unknown kind of line, {kind!r}; '
                f'expected run, {", ".join(tables)}.')
    if run is None:
        raise ValueError(
            f"{path} does not begin with a line of kind 'run', so it is no "
            'results file of the benchmark, or one from before there were '
            'versions. Run the benchmark again into a new folder.')
    coded, tasks, points, complexity, failures = (
        list(tables[kind].values()) for kind in _NAMES)
    return Results(path, run, coded, tasks, points, complexity, failures,
                   num_cut)


def _check_format(path: Path, row: dict) -> None:
    if row.get('format') != FORMAT:
        raise ValueError(
            f'{path} has format {row.get("format")!r}, this version of mmhmc '
            f'reads format {FORMAT}. Run the benchmark again into a new '
            'folder, or read the file with the version that wrote it: '
            f'{row.get("versions", {}).get("mmhmc", "not stated")}.')


def _add(tables: dict[str, dict], path: Path, number: int, row: dict) -> None:
    """Put a line in its table, in place of an earlier one on the same."""
    kind = row['kind']
    needed = ('stage', 'error') if kind == 'failure' else _NAMES[kind]
    missing = [
        name for name in needed if name not in row
        # Uncompressed images have one point.
        and not (name == 'point' and row.get('codec', '') is None)
    ]
    if missing:
        raise ValueError(f'{path}, line {number}: a line of kind {kind!r} '
                         f'needs {", ".join(map(repr, missing))}.')
    tables[kind][tuple(row.get(name) for name in _NAMES[kind])] = row
    if kind != 'failure':
        # What failed once has been made up for.
        stage = dict(coded='coding', point='coding').get(kind, kind)
        tables['failure'].pop(
            tuple(stage if name == 'stage' else row.get(name)
                  for name in _NAMES['failure']), None)


def parse_line(line: bytes) -> dict | None:
    """A line; None for half a line."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    if isinstance(row, dict) and 'picture' in row:  # the key of 0.1
        row['image'] = row.pop('picture')
    return row if isinstance(row, dict) else None
