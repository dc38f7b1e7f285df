"""One JSON line for each finished file, safe against interruptions."""
import json
from collections.abc import Iterable
from pathlib import Path

from mmhmc.evaluation.results_file import parse_line
from mmhmc.whole_files import write_whole


class ResultLog:
    """Results of a folder, ``NAME.jsonl``, by the ``output`` of each.

    A line is added as soon as a file is finished. Of several processes each
    has a file of its own, ``NAME.rank3.jsonl``, until :meth:`finish` merges
    them; what an interrupted run leaves is read by the next.

    Args:
        folder: Folder of the outputs.
        name: Name of the log without its ending.
        rank: Number of this process.
        size: Number of processes.
    """

    def __init__(self,
                 folder: Path,
                 name: str,
                 rank: int = 0,
                 size: int = 1) -> None:
        self._folder, self._name = folder, name
        self._merged = folder / f'{name}.jsonl'
        self._own = self._merged
        if size > 1:
            self._own = folder / f'{name}.rank{rank}.jsonl'

    def read(self) -> dict[str, dict]:
        """Results so far, those of interrupted processes included."""
        rows = {}
        for path in [self._merged, *self._parts()]:
            if path.exists():
                for row in map(parse_line, path.read_bytes().splitlines()):
                    if row is not None and 'output' in row:
                        rows[row['output']] = row
        return rows

    def append(self, row: dict) -> None:
        """Add a result."""
        line = json.dumps(row).encode() + b'\n'
        with self._own.open('ab+') as file:
            # An interrupted process may have left half a line.
            if file.tell():
                file.seek(-1, 2)
                if file.read(1) != b'\n':
                    line = b'\n' + line
            file.write(line)

    def finish(self, rows: Iterable[dict]) -> None:
        """Merge, sorted by output; for one process, when all are done.

        Args:
            rows: Results that count in place of those so far.
        """
        merged = self.read()
        merged.update((row['output'], row) for row in rows)
        self.replace(merged.values())

    def replace(self, rows: Iterable[dict]) -> None:
        """As :meth:`finish`, and drop what else there is."""
        ordered = sorted(rows, key=lambda row: row['output'])
        lines = [json.dumps(row) + '\n' for row in ordered]
        write_whole(self._merged, ''.join(lines).encode())
        for path in self._parts():
            path.unlink()

    def _parts(self) -> list[Path]:
        return sorted(self._folder.glob(f'{self._name}.rank*.jsonl'))
