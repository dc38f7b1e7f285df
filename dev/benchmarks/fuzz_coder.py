"""Attack the compiled entropy coder below the file's checksum.

    python dev/benchmarks/fuzz_coder.py [--garbage N] [--sanitize]

Random strings, every truncation and every flipped bit (every fourth with two
lanes, every sixteenth with four) of valid payloads, all decoded in pieces;
tables and indexes of random integers. Each has to end in a typed error or in
symbols. The attacks run in a child process, so that a crash is seen;
``--sanitize`` has the coder compiled with AddressSanitizer and
UndefinedBehaviorSanitizer for it.
"""
import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np

SOURCES = Path(__file__).resolve().parents[2] / 'mmhmc/bitstream'
FLAGS = ('-std=c++17', '-O1', '-g', '-fPIC', '-shared', '-fvisibility=hidden',
         '-fno-omit-frame-pointer', '-fsanitize=address,undefined',
         '-fno-sanitize-recover=undefined')


def find_extension() -> Path:
    """The compiled coder of this checkout.

    Raises:
        FileNotFoundError: If there is none.
    """
    suffix = sysconfig.get_config_var('EXT_SUFFIX')
    path = SOURCES / f'_rans{suffix}'
    if path.exists():
        return path
    raise FileNotFoundError(
        f'There is no compiled coder in {SOURCES}; `mmhmc doctor` names the '
        'command that builds it.')


def build_sanitized(folder: str) -> Path:
    """Compile the coder with sanitizers."""
    import pybind11
    path = Path(folder) / '_rans.so'
    includes = (sysconfig.get_path('include'), pybind11.get_include())
    subprocess.run([
        os.environ.get('CXX', 'c++'), *FLAGS, *(f'-I{include}'
                                                for include in includes),
        str(SOURCES / 'rans.cpp'), '-o',
        str(path)
    ],
                   check=True)
    return path


def sanitizer_settings() -> dict[str, str]:
    """Environment of a process that loads a sanitized extension."""
    compiler = os.environ.get('CXX', 'c++')
    # libstdc++ too: ASan has to find how exceptions are thrown.
    libraries = [
        subprocess.run([compiler, f'-print-file-name={name}'],
                       capture_output=True,
                       text=True,
                       check=True).stdout.strip()
        for name in ('libasan.so', 'libstdc++.so')
    ]
    # Python never frees all, which is no leak of the coder's.
    return dict(
        os.environ,
        LD_PRELOAD=' '.join(libraries),
        ASAN_OPTIONS='detect_leaks=0',
        # Its own allocator would hide what lies beyond a short payload.
        PYTHONMALLOC='malloc',
        UBSAN_OPTIONS='print_stacktrace=1')


def load(path: str) -> ModuleType:
    """An extension by its path, without the package around it."""
    spec = importlib.util.spec_from_file_location('_rans', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_tables(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """One table each of 1 to 65536 entries, with and without rare ones."""
    rows = [np.array([0, 65536]), np.array([0, 65535, 65536])]
    for size in (3, 60, 3000):
        inner = 1 + rng.choice(65535, size - 1, replace=False)
        rows.append(np.array([0, *np.sort(inner), 65536]))
    # As of a narrow Gaussian: nearly all tails are as rare as can be.
    rows.append(np.r_[:200, 65336:65537])
    rows.append(np.arange(65537))
    cdf = np.zeros((len(rows), 65537), np.int32)
    for row, values in zip(cdf, rows):
        row[:len(values)] = values
    lengths = np.array([len(row) for row in rows], np.int32)
    offsets = rng.integers(-100, 100, len(rows)).astype(np.int32)
    return cdf, lengths, offsets


def make_payloads(coder: ModuleType, tables: tuple[np.ndarray, ...],
                  rng: np.random.Generator) -> Iterator[tuple]:
    """Valid payloads with the indexes and symbols of each."""
    registered = coder.Tables(*tables)
    _, lengths, offsets = tables
    for count, rows in ((1, [4]), (40, range(7)), (300, range(7)),
                        (300, [3, 5]), (8000, [3, 4]), (25000, [3, 4])):
        indexes = rng.choice(rows, count).astype(np.int32)
        places = rng.integers(0, lengths[indexes] - 1)
        places[rng.random(count) < 0.02] = -2
        symbols = (offsets[indexes] + places).astype(np.int32)
        symbols[rng.random(count) < 0.01] = rng.choice([-2**31, 2**31 - 1])
        payload = coder.encode(registered, symbols, indexes)
        yield registered, payload, indexes, symbols


class Tally:
    """Counts how attacks of one kind end."""

    def __init__(self, name: str) -> None:
        self.counts = dict(
            attack=name, cases=0, raised=0, returned=0, unchanged=0)
        self.slowest = 0.0

    def run(self, action: Callable[[], bool]) -> None:
        """One case; the action says whether all is as without the attack."""
        start = time.perf_counter()
        self.counts['cases'] += 1
        try:
            same = action()
        except ValueError:  # StreamError is one, too
            self.counts['raised'] += 1
        else:
            self.counts['unchanged' if same else 'returned'] += 1
        self.slowest = max(self.slowest, time.perf_counter() - start)

    def report(self) -> None:
        """Tell the parent."""
        row = {**self.counts, 'slowest ms': round(1e3 * self.slowest, 2)}
        print(json.dumps(row), flush=True)


def decode(coder: ModuleType, registered: object, payload: bytes,
           indexes: np.ndarray, symbols: np.ndarray, cut: int) -> bool:
    """Decode in two pieces; whether the symbols are the right ones."""
    decoder = coder.Decoder(payload, registered)
    pieces = [decoder.decode(indexes[:cut])]
    decoder.bits_left()
    pieces.append(decoder.decode(indexes[cut:]))
    decoder.finish()
    return bool((np.concatenate(pieces) == symbols).all())


def attack(coder: ModuleType, garbage: int) -> None:
    """All attacks, one line of JSON each."""
    rng = np.random.default_rng(0)
    tables = make_tables(rng)
    cases = list(make_payloads(coder, tables, rng))
    attack_with_garbage(coder, cases, garbage, rng)
    for registered, payload, indexes, symbols in cases:
        lanes = 1 << (payload[0] & 3)
        name = f'{len(payload)} bytes, {lanes} lanes'

        def attempt(tally: Tally, data: bytes) -> None:
            cut = int(rng.integers(len(indexes) + 1))
            tally.run(
                lambda: decode(coder, registered, data, indexes, symbols, cut))

        tally = Tally(f'nothing: {name}')
        attempt(tally, payload)
        tally.report()
        tally = Tally(f'truncation: {name}')
        for length in range(len(payload)):
            attempt(tally, payload[:length])
        tally.report()
        tally = Tally(f'bit flip: {name}')
        for bit in range(0, 8 * len(payload), lanes**2):
            data = bytearray(payload)
            data[bit // 8] ^= 1 << bit % 8
            attempt(tally, bytes(data))
        tally.report()
    attack_tables(coder, garbage // 10, rng)


def attack_with_garbage(coder: ModuleType, cases: list[tuple], count: int,
                        rng: np.random.Generator) -> None:
    """Random strings, half of them with a first byte that is possible."""
    tally = Tally('garbage, 0 to 4096 bytes')
    for trial in range(count):
        data = bytearray(rng.bytes(rng.integers(4097)))
        if data and trial % 2:
            width, lanes = rng.integers(4, 9), int(rng.integers(3))
            data[0] = lanes | int(width - 4) << 2
            head = 1 + (int(width) << lanes)
            # The highest bit of each state, which must not be set.
            for at in range(int(width), head, int(width)):
                if at < len(data):
                    data[at] &= 0x7f
            del data[len(data) - (len(data) - head) % 4:]
        registered, _, indexes, symbols = cases[trial % 3]
        cut = int(rng.integers(len(indexes) + 1))
        tally.run(lambda: decode(coder, registered, bytes(data), indexes,
                                 symbols, cut))
    tally.report()


def attack_tables(coder: ModuleType, count: int,
                  rng: np.random.Generator) -> None:
    """Tables and indexes of random integers, and what they code."""
    tally = Tally('random tables and indexes')
    for trial in range(count):
        rows, width = rng.integers(0, 4), rng.integers(0, 6)
        cdf = np.sort(rng.integers(-1, 65538, (rows, width)), axis=1)
        lengths = rng.choice([width, width - 1, 2, -1, 2**31 - 1], rows)
        offsets = rng.choice([0, 2**30, -2**30, 2**31 - 1], rows)
        if trial % 4 and width > 1:
            cdf[:, 0], cdf[:, -1] = 0, 65536
            lengths[:] = width
            offsets.clip(max=2**30, out=offsets)
        arrays = [a.astype(np.int32) for a in (cdf, lengths, offsets)]
        symbols, indexes = (rng.integers(low, high, 8).astype(np.int32)
                            for low, high in ((-2**31, 2**31), (0, rows + 1)))

        def round_trip() -> bool:
            registered = coder.Tables(*arrays)
            payload = coder.encode(registered, symbols, indexes)
            return decode(coder, registered, payload, indexes, symbols, 3)

        tally.run(round_trip)
    tally.report()


def show(rows: list[dict]) -> None:
    """Print a table of what the child told."""
    for row in [list(rows[0])] + [list(row.values()) for row in rows]:
        print(f'{row[0]:<36}' + ''.join(f'{cell:>11}' for cell in row[1:]))


def main() -> int:
    """Run the attacks in a child; 1 if it did not live to the end."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--garbage', type=int, default=100000)
    parser.add_argument('--sanitize', action='store_true')
    parser.add_argument('--attack', help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.attack:
        attack(load(args.attack), args.garbage)
        return 0
    folder = tempfile.mkdtemp()
    try:
        path = build_sanitized(folder) if args.sanitize else find_extension()
        child = subprocess.run(
            [
                sys.executable, __file__, '--attack',
                str(path), '--garbage',
                str(args.garbage)
            ],
            env=sanitizer_settings() if args.sanitize else None,
            stdout=subprocess.PIPE,
            text=True)
    finally:
        shutil.rmtree(folder)
    rows = [json.loads(line) for line in child.stdout.splitlines()]
    if rows:
        show(rows)
    print(f'The child ended with status {child.returncode}.')
    return int(child.returncode != 0)


if __name__ == '__main__':
    sys.exit(main())
