"""The bytes of one file, fixed: whoever changes them breaks stored files.

After a deliberate change, with a new version in the container::

    PYTHONPATH=. python tests/bitstream/test_golden_bitstream.py
"""
from pathlib import Path

import torch

from mmhmc.bitstream import Bitstream, CdfTables, SymbolDecoder, encode_symbols
from mmhmc.structures import LatentSymbols

EXPECTED = Path(__file__).parents[1] / 'expected/golden_bitstream.hex'

# Frequencies of 2^16; the last step of each row is the escape.
TABLES = CdfTables(
    cdf=torch.tensor([[0, 16384, 49152, 65024, 65536, 0, 0],
                      [0, 1, 2, 65000, 65534, 65535, 65536]]).int(),
    lengths=torch.tensor([5, 7]).int(),
    offsets=torch.tensor([-1, -2]).int())
STREAMS = dict(
    z=LatentSymbols(torch.tensor([0]).int(),
                    torch.tensor([0]).int()),
    y=LatentSymbols(
        torch.tensor([0, -1, 1, 0, 0, -2, 2, 1, -7, 300, 0, -70000]).int(),
        torch.tensor([0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 1, 1]).int()))


def golden():
    payloads = {
        name: encode_symbols(coded, TABLES)
        for name, coded in STREAMS.items()
    }
    return Bitstream(
        'bmshj2018-h', (17, 300),
        payloads, (64, 320),
        b'hash',
        quality=2.5,
        device=b'cp').to_bytes()


def test_golden_bitstream():
    assert golden() == bytes.fromhex(EXPECTED.read_text())


def test_golden_bitstream_decodes():
    stream = Bitstream.from_bytes(bytes.fromhex(EXPECTED.read_text()))
    assert (stream.codec, stream.size) == ('bmshj2018-h', (17, 300))
    assert (stream.coded_size, stream.quality) == ((64, 320), 2.5)
    assert (stream.weights, stream.device) == (b'hash', b'cp')
    assert list(stream.streams) == list(STREAMS)
    for name, coded in STREAMS.items():
        decoder = SymbolDecoder(stream.streams[name], TABLES)
        assert torch.equal(decoder.decode(coded.indexes), coded.symbols)
        decoder.finish()


if __name__ == '__main__':
    EXPECTED.write_text(golden().hex('\n', -16) + '\n')
