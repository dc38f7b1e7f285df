import struct
import zlib

import numpy as np
import pytest
import torch

from mmhmc.bitstream import Bitstream, BitstreamError

SMALL = Bitstream(
    'mbt2018', (17, 300),
    dict(z=b'\0\1', y=b'abcdefgh'), (64, 320),
    b'hash',
    device=b'cp')
# Up to the checksum of the header.
HEADER = SMALL.to_bytes()[:-14]


def with_checksum(header, payloads=b''):
    """What an attacker, or a broken writer, would send."""
    return header + struct.pack('<I', zlib.crc32(header)) + payloads


def header(name=b'X', sides=b'\1\1', table=b'\0', flags=0):
    """The parts of a header before its checksum."""
    return b'HMC\2' + bytes([flags]) + name + b'hash' + sides + table


@pytest.mark.parametrize('stream', [
    SMALL,
    Bitstream('X', (1, 1)),
    Bitstream('Codec', (127, 128), dict(y=b'')),
    Bitstream('Codec', (127, 128), dict(z=b'', y=b'1', x=b'')),
    Bitstream('Ünïcödé', (8192, 32768), {'layer': bytes(range(256)) * 100}),
    Bitstream('X', (65, 3), dict(y=b'1'), (80, 7), quality=3.25),
    Bitstream('X', (65, 3), dict(y=b'1'), (65, 4), quality=0, device=b'\0\0'),
])
def test_file_is_read_as_it_was_written(stream):
    data = stream.to_bytes()
    assert Bitstream.from_bytes(data) == stream
    assert stream.num_bytes == len(data)


def test_order_of_streams_is_kept():
    assert list(Bitstream.from_bytes(SMALL.to_bytes()).streams) == ['z', 'y']


def test_all_but_the_payloads_of_two_streams_is_at_most_48_bytes():
    payloads = dict(z=bytes(10000), y=bytes(100000))
    stream = Bitstream(
        'bmshj2018-h', (4000, 6000),
        payloads, (4032, 6016),
        b'hash',
        device=b'cp')
    assert stream.num_bytes - 110000 <= 48


def test_layers_can_be_cut_off_the_end():
    layers = dict(semantic=b'12345', texture=b'678', detail=b'90')
    whole = Bitstream('X', (5, 7), layers)
    data = whole.to_bytes()
    for count in (1, 2, 3):
        rest = whole.keep(count)
        assert list(rest.streams) == list(layers)[:count]
        assert [layer.name for layer in rest.cut] == list(layers)[count:]
        assert data.startswith(rest.to_bytes())
        assert rest.num_bytes == len(rest.to_bytes())
        assert Bitstream.from_bytes(rest.to_bytes()) == rest
    assert whole.keep(2).keep(1) == whole.keep(1)
    for count in (0, 4):
        with pytest.raises(ValueError, match=r'from 1 to 3 \(semantic, '):
            whole.keep(count)


def test_file_that_ends_anywhere_but_between_streams_is_refused():
    data = SMALL.to_bytes()
    between = len(data) - len(SMALL.streams['y'])
    for length in range(len(data)):
        if length == between:
            assert list(Bitstream.from_bytes(data[:length]).streams) == ['z']
            continue
        with pytest.raises(BitstreamError):
            Bitstream.from_bytes(data[:length])


def test_every_flipped_bit_is_refused():
    data = SMALL.to_bytes()
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BitstreamError):
            Bitstream.from_bytes(bytes(flipped))


def test_damage_is_named_with_its_place():
    data = bytearray(SMALL.to_bytes())
    data[-1] ^= 1
    start = len(data) - 8
    with pytest.raises(
            BitstreamError,
            match=f"stream 'y', bytes {start} to {start + 8}, .* damaged"):
        Bitstream.from_bytes(bytes(data))
    data = bytearray(SMALL.to_bytes())
    data[9] ^= 1
    with pytest.raises(
            BitstreamError, match=f'header, {len(HEADER)} bytes, .* damaged'):
        Bitstream.from_bytes(bytes(data))


@pytest.mark.parametrize('tail', [b'\0', b'HMC', bytes(64)])
def test_trailing_bytes_are_refused(tail):
    with pytest.raises(BitstreamError, match='bytes follow the last stream'):
        Bitstream.from_bytes(SMALL.to_bytes() + tail)


@pytest.mark.parametrize(
    'data', [b'', b'HM', b'HMC', b'HMC\2', b'\x89PNG' + bytes(60)])
def test_foreign_file_is_refused(data):
    with pytest.raises(BitstreamError, match='no mmhmc bitstream'):
        Bitstream.from_bytes(data)


@pytest.mark.parametrize('version', [0, 1, 3, 255])
def test_foreign_version_is_refused(version):
    data = b'HMC' + bytes([version]) + HEADER[4:]
    with pytest.raises(BitstreamError, match=f'version {version}, expected 2'):
        Bitstream.from_bytes(with_checksum(data))


@pytest.mark.parametrize('flags', [0x40, 0x80, 0xff])
def test_unknown_flags_are_refused(flags):
    with pytest.raises(BitstreamError, match='some have no meaning'):
        Bitstream.from_bytes(with_checksum(header(flags=flags)))


def test_every_shorter_header_with_a_right_checksum_is_refused():
    payloads = SMALL.to_bytes()[-10:]
    for length in range(len(HEADER)):
        with pytest.raises(BitstreamError):
            Bitstream.from_bytes(with_checksum(HEADER[:length], payloads))


def test_every_flipped_header_bit_with_a_right_checksum_is_refused_or_read():
    # What can be read is another file, not this one.
    payloads = SMALL.to_bytes()[-10:]
    for bit in range(8 * len(HEADER)):
        flipped = bytearray(HEADER)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            read = Bitstream.from_bytes(
                with_checksum(bytes(flipped), payloads))
        except BitstreamError:
            continue
        assert read != SMALL


def test_number_without_an_end_is_refused():
    with pytest.raises(BitstreamError, match='longer than 32 bits'):
        Bitstream.from_bytes(header(sides=b'\xff' * 20))


def test_name_that_is_no_text_is_refused():
    with pytest.raises(BitstreamError, match='is not UTF-8'):
        Bitstream.from_bytes(header(name=b'\2\xff\xfe') + bytes(8))


def test_announced_length_is_checked_before_it_is_read():
    data = with_checksum(header(table=b'\1y\xff\xff\xff\x7f' + b'crc!'))
    with pytest.raises(BitstreamError, match='268435455 bytes were announced'):
        Bitstream.from_bytes(data)


def test_streams_of_one_name_are_refused():
    data = with_checksum(header(table=b'\2' + b'y\0\0\0\0\0' * 2))
    with pytest.raises(BitstreamError, match='names of streams must differ'):
        Bitstream.from_bytes(data)


@pytest.mark.parametrize('size', [(0, 5), (5, 0), (-1, 5), (32769, 1),
                                  (16385, 16384), (2**31, 2**31)])
def test_image_of_absurd_size_is_not_stored(size):
    with pytest.raises(BitstreamError, match='pixels cannot be stored'):
        Bitstream('X', size)
    with pytest.raises(BitstreamError, match='cannot be stored|fewer than'):
        Bitstream('X', (5, 5), coded_size=size)


@pytest.mark.parametrize('sides', [
    b'\0\5', b'\5\0', b'\x81\x80\2\1', b'\x81\x80\1\x80\x80\1',
    b'\xff\xff\xff\xff\x7f' * 2
])
@pytest.mark.parametrize('flags', [0, 6, 14])
def test_header_that_claims_an_absurd_size_is_refused(sides, flags):
    data = with_checksum(
        header(sides=sides, flags=flags, table=b'\1y\0') + bytes(4))
    with pytest.raises(BitstreamError, match='cannot be stored'):
        Bitstream.from_bytes(data)


@pytest.mark.parametrize('fields', [
    dict(codec=''),
    dict(codec='x' * 32),
    dict(streams={'': b''}),
    dict(streams={'ü' * 16: b''}),
    dict(weights=b''),
    dict(device=b'abc'),
    dict(quality=0.3),
    dict(quality=-1.),
    dict(quality=float('nan')),
    dict(quality=65536.),
])
def test_field_that_cannot_be_stored_is_refused(fields):
    with pytest.raises(BitstreamError, match='stored|must'):
        Bitstream(**{**dict(codec='X', size=(1, 1)), **fields})


def test_error_is_a_value_error():
    assert issubclass(BitstreamError, ValueError)


@pytest.mark.parametrize('fields', [
    dict(device=b''),
    dict(device=b'abc'),
    dict(device='ab'),
    dict(weights='abcd'),
    dict(weights=None),
    dict(quality='1'),
    dict(codec=None),
    dict(size=(4., 5)),
    dict(size=4),
    dict(size=(4, 5, 6)),
    dict(streams=dict(y='text')),
    dict(streams={1: b''}),
])
def test_what_could_not_be_read_again_is_not_made(fields):
    with pytest.raises(BitstreamError):
        Bitstream(**{**dict(codec='x', size=(4, 5)), **fields})


def test_size_of_any_kind_is_two_integers():
    stream = Bitstream('x', [4, np.int64(5)], coded_size=torch.Size((8, 8)))
    assert stream == Bitstream.from_bytes(stream.to_bytes())
    assert stream.size == (4, 5) and type(stream.size[1]) is int


def test_text_of_a_bitstream_has_no_payload():
    stream = Bitstream('x', (4, 5), dict(y=b'secret' * 99, z=b''), quality=2)
    text = repr(stream)
    assert 'secret' not in text and 'y: 594 bytes, z: 0 bytes' in text
    assert "'x', (4, 5)" in text and 'quality=2' in text


# Layers.

LAYERED = Bitstream('X', (5, 7), dict(z=b'12', y0=b'345', y1=b'67', y2=b'89a'))


def test_streams_of_a_name_and_a_number_are_layers():
    assert [list(layer) for layer in LAYERED.layers] == [['z', 'y0'], ['y1'],
                                                         ['y2']]
    assert [list(layer) for layer in SMALL.layers] == [['z', 'y']]
    generative = Bitstream('lgc', (5, 7), dict(z=b'', y=b'1', t=b'2'))
    assert [list(layer) for layer in generative.layers] == [['z', 'y'], ['t']]
    assert sum(LAYERED.layer_bytes) == LAYERED.num_bytes
    assert LAYERED.layer_bytes[1:] == [2, 3]
    assert Bitstream('X', (1, 1)).layers == [{}]


def test_file_is_cut_after_each_layer():
    data = LAYERED.to_bytes()
    for count, streams in ((1, 2), (2, 3), (3, 4)):
        base = LAYERED.keep_layers(count)
        assert base == LAYERED.keep(streams)
        end = sum(LAYERED.layer_bytes[:count])
        assert Bitstream.from_bytes(data[:end]) == base
    for count in (0, -1, 4):
        with pytest.raises(
                ValueError, match=r'from 1 to 3, .* \(z, y0; y1; y2\)'):
            LAYERED.keep_layers(count)
    with pytest.raises(ValueError, match='from 1 to 1'):
        LAYERED.keep_layers(1).keep_layers(2)


@pytest.mark.parametrize('count', [1, 2])
def test_what_was_split_is_joined(count):
    base, rest = LAYERED.split(count)
    assert base == LAYERED.keep_layers(count)
    assert base.join(rest) == LAYERED
    # Also in two steps.
    middle, last = LAYERED.split(2)
    first, second = middle.split(1)
    assert first.join(second).join(last) == LAYERED


def test_rest_of_another_file_is_refused():
    other = Bitstream('X', (5, 7), dict(z=b'12', y0=b'345', y1=b'68', y2=b''))
    base, rest = LAYERED.split(1)
    with pytest.raises(BitstreamError, match='are of another file'):
        base.join(other.split(1)[1])
    with pytest.raises(BitstreamError, match='continue a file with 3 streams'):
        base.join(LAYERED.split(2)[1])
    with pytest.raises(BitstreamError, match='no file of layers'):
        base.join(LAYERED.to_bytes())
    with pytest.raises(ValueError, match='nothing to cut off'):
        LAYERED.split(3)
    with pytest.raises(BitstreamError, match='mmhmc join'):
        Bitstream.from_bytes(rest)
    for length in range(len(rest)):
        if rest[:length] == base.join(rest).keep(3).split(1)[1]:
            continue  # the first of both layers
        with pytest.raises(BitstreamError):
            base.join(rest[:length])
    for bit in range(8 * len(rest)):
        flipped = bytearray(rest)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BitstreamError):
            base.join(bytes(flipped))


def test_file_that_ends_within_an_enhancement_is_read_up_to_it_if_asked():
    data = LAYERED.to_bytes()
    base = LAYERED.keep_layers(1)
    first, names = base.num_bytes, list(LAYERED.streams)
    for length in range(first, len(data)):
        whole = max(
            n for n in range(len(base.streams),
                             len(names) + 1)
            if LAYERED.keep(n).num_bytes <= length)
        if LAYERED.keep(whole).num_bytes == length:
            read = Bitstream.from_bytes(data[:length], partial=True)
        else:
            with pytest.warns(
                    UserWarning, match=f"within stream '{names[whole]}'"):
                read = Bitstream.from_bytes(data[:length], partial=True)
        assert read == LAYERED.keep(whole)
    between = {
        LAYERED.keep(n).num_bytes
        for n in range(1, len(base.streams))
    }
    for length in set(range(first)) - between:
        with pytest.raises(BitstreamError):
            Bitstream.from_bytes(data[:length], partial=True)
