"""Attacks on whole files, through every codec: nothing but refusals.

    python dev/benchmarks/fuzz_streams.py [--garbage N] [--forged N]

Small codecs with random weights code three images each. What is tried:

- cut: the file ends at every byte (after a whole layer it decodes);
- flip: every single bit of it is flipped;
- overwrite: 1 to 64 bytes at random places are replaced;
- append: 1 to 64 bytes follow;
- garbage: random bytes as a file, with and without a right beginning;
- forged cut, flip, garbage: payloads are cut, flipped or replaced and all
  checksums made right again, so that only the coder's own checks are left;
- header bomb: every number of the header at its extremes, in all pairs, and
  all pairs of sides with the coded size that goes with them, with right
  checksums.

A case counts as refused (`BitstreamError`), as decoded, or as failed: any
other exception. Below the checksums a few forgeries have to decode: they are
what another encoder could have written. Beside the counts stand the longest
time of one case, and how far the peak of the process's memory rose.
"""
import argparse
import itertools
import random
import resource
import struct
import sys
import time
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from mmhmc.apis.command import run_tool
from mmhmc.machine import tune_cpu

tune_cpu()  # before torch is loaded

import torch  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

from mmhmc.bitstream import Bitstream, BitstreamError  # noqa: E402
from mmhmc.codecs import ImageCodec, build_codec  # noqa: E402
from mmhmc.functional import padded_size  # noqa: E402

SMALL = dict(hidden_channels=8, latent_channels=8)
CODECS = {
    'FactorizedPrior': SMALL,
    'ScaleHyperprior': SMALL,
    'MeanScaleHyperprior': SMALL,
    'JointAutoregressive': SMALL,
    'Cheng2020Anchor': dict(hidden_channels=8),
    'Cheng2020Attention': dict(hidden_channels=8),
    'MeanScaleHyperprior, layers': dict(SMALL, layers=[3]),
    'JointAutoregressive, layers': dict(SMALL, layers=[3, 3]),
}
SIZES = ((16, 16), (64, 100), (200, 150))


def make_codec(name: str) -> ImageCodec:
    """A codec whose latents cost bits."""
    type_name = name.partition(',')[0]
    codec = build_codec(dict(type=f'mmhmc.{type_name}', **CODECS[name])).eval()
    with torch.no_grad():
        gain = 4 / codec.g_a(torch.rand(1, 3, 64, 64)).square().mean().sqrt()
        for parameter in list(codec.g_a.parameters())[-2:]:
            parameter.mul_(gain)
    codec.update_entropy_tables()
    return codec


def cut(data: bytes) -> Iterator[bytes]:
    """Every beginning of it."""
    return (data[:length] for length in range(len(data)))


def flip(data: bytes) -> Iterator[bytes]:
    """Every neighbour at one bit's distance."""
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        yield bytes(changed)


def overwrite(data: bytes, count: int) -> Iterator[bytes]:
    """With some bytes replaced by others."""
    for _ in range(count):
        changed = bytearray(data)
        for _ in range(random.randint(1, 64)):
            place = random.randrange(len(data))
            changed[place] ^= random.randint(1, 255)
        if changed != data:
            yield bytes(changed)


def garbage(count: int, beginning: bytes = b'') -> Iterator[bytes]:
    """Random bytes, up to 4096 of them."""
    for _ in range(count):
        yield beginning + random.randbytes(random.randint(0, 4096))


def forge(stream: Bitstream,
          make: Callable[[bytes], Iterable[bytes]]) -> Iterator[bytes]:
    """Files with right checksums around changed payloads."""
    for name, payload in stream.streams.items():
        for changed in make(payload):
            streams = {**stream.streams, name: changed}
            yield replace(stream, streams=streams).to_bytes()


def header_bombs(stream: Bitstream, factor: int) -> Iterator[bytes]:
    """Absurd numbers in the header, one and two at a time."""

    def number(value: int) -> bytes:
        out = b''
        while value > 127:
            out += bytes([value & 127 | 128])
            value >>= 7
        return out + bytes([value])

    extremes = [
        0, 1, 2**15 - 1, 2**15, 2**15 + 1, 2**31 - 1, 2**31, 2**32 - 1,
        2**35 - 1
    ]
    name = stream.codec.encode()
    payloads = b''.join(stream.streams.values())
    names = list(stream.streams)
    plain = [*stream.size, *stream.coded_size,
             len(names)
             ] + [len(payload) for payload in stream.streams.values()]
    for places in itertools.combinations(range(len(plain)), 2):
        for values in itertools.product(extremes, repeat=2):
            numbers = list(plain)
            for place, value in zip(places, values):
                numbers[place] = value
            device = stream.device or b''
            header = b'HMC\2' + bytes([15 | (32 if device else 0)])
            header += bytes([len(name)]) + name + stream.weights + device
            header += b''.join(map(number, numbers[:5]))
            for key, length in zip(names, numbers[5:]):
                header += key.encode() + number(length) + struct.pack(
                    '<I', zlib.crc32(stream.streams[key]))
            if numbers != plain:
                yield header + struct.pack('<I', zlib.crc32(header)) + payloads
    for size in itertools.product((1, 100, 5000, 2**13, 2**15), repeat=2):
        try:
            yield replace(
                stream, size=size, coded_size=padded_size(size,
                                                          factor)).to_bytes()
        except BitstreamError:
            pass  # beyond what a file may say


def sample(cases: Iterable[bytes], most: int) -> list[bytes]:
    """All of them, or a random part."""
    cases = list(cases)
    return cases if len(cases) <= most else random.sample(cases, most)


def peak() -> int:
    """Largest memory of this process so far, in bytes."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def attack(codec: ImageCodec, cases: Iterable[bytes]) -> dict[str, float]:
    """Try to decode each case."""
    result = dict(cases=0, refused=0, decoded=0, failed=0, slowest=0.)
    before = peak()
    for data in cases:
        start = time.perf_counter()
        try:
            codec.decompress([Bitstream.from_bytes(data)])
            outcome = 'decoded'
        except BitstreamError:
            outcome = 'refused'
        except Exception as error:  # what this program looks for
            outcome = 'failed'
            print(f'{type(error).__name__}: {error}', file=sys.stderr)
        seconds = time.perf_counter() - start
        result['slowest'] = max(result['slowest'], seconds)
        result['cases'] += 1
        result[outcome] += 1
    result['rise'] = (peak() - before) / 2**20
    return result


def attacks_on(stream: Bitstream, factor: int,
               forged: int) -> dict[str, list[bytes]]:
    """Cases by the name of the attack."""
    data = stream.to_bytes()
    return {
        'cut': list(cut(data)),
        'flip': list(flip(data)),
        'overwrite': list(overwrite(data, 10 * forged)),
        'append': [data + random.randbytes(n) for n in range(1, 65)],
        'garbage': list(garbage(forged, data[:5])),
        'forged cut': sample(forge(stream, cut), forged),
        'forged flip': sample(forge(stream, flip), forged),
        'forged garbage': list(forge(stream, lambda _: garbage(forged // 2))),
        'header bomb': list(header_bombs(stream, factor)),
    }


def main() -> None:
    """Print one row for each codec and attack."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--garbage', type=int, default=100000, help='random files')
    parser.add_argument(
        '--forged',
        type=int,
        default=1000,
        help='cases of each forgery of one stream')
    args = parser.parse_args()
    warnings.simplefilter('ignore')
    torch.set_num_threads(1)
    random.seed(0)
    table = Table('codec', 'attack', 'cases', 'refused', 'decoded', 'failed',
                  'slowest ms', 'memory MiB')
    totals = dict(cases=0, refused=0, decoded=0, failed=0)

    def report(name: str, kind: str, result: dict[str, float]) -> None:
        for key in totals:
            totals[key] += result[key]
        table.add_row(name, kind, *(str(result[key]) for key in totals),
                      f"{1e3 * result['slowest']:.1f}",
                      f"{result['rise']:.0f}")

    for name in CODECS:
        torch.manual_seed(0)
        codec = make_codec(name)
        results = {}
        for size in SIZES:
            stream, = codec.compress(torch.rand(1, 3, *size))
            for kind, cases in attacks_on(stream, codec.downsampling_factor,
                                          args.forged).items():
                results.setdefault(kind, []).append(attack(codec, cases))
        for kind, parts in results.items():
            joined = {
                key:
                max(p[key] for p in parts) if key == 'slowest' else sum(
                    p[key] for p in parts)
                for key in parts[0]
            }
            report(name, kind, joined)
    report(name, 'garbage as file', attack(codec, garbage(args.garbage)))
    table.add_row('all', '', *(str(totals[key]) for key in totals))
    Console(width=110).print(table)
    sys.exit(1 if totals['failed'] else 0)


if __name__ == '__main__':
    run_tool(main)
