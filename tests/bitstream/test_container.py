import struct
import zlib

import pytest

from mmhmc.bitstream import Bitstream, BitstreamError

SMALL = Bitstream('ScaleHyperprior', (17, 300), dict(z=b'\0\1', y=b'abcdefgh'))


def with_checksum(body):
    """What an attacker, or a broken writer, would send."""
    return body + struct.pack('<I', zlib.crc32(body))


@pytest.mark.parametrize('stream', [
    SMALL,
    Bitstream('X', (1, 1)),
    Bitstream('Codec', (127, 128), dict(y=b'')),
    Bitstream('Ünïcödé', (8192, 32768), {'': bytes(range(256)) * 100}),
])
def test_file_is_read_as_it_was_written(stream):
    data = stream.to_bytes()
    assert Bitstream.from_bytes(data) == stream
    assert stream.num_bytes == len(data)


def test_order_of_streams_is_kept():
    assert list(Bitstream.from_bytes(SMALL.to_bytes()).streams) == ['z', 'y']


def test_header_of_two_streams_costs_at_most_48_bytes():
    for codec in ('MeanScaleHyperprior', 'JointAutoregressive'):
        payloads = dict(z=bytes(100), y=bytes(50000))
        stream = Bitstream(codec, (4000, 6000), payloads)
        assert stream.num_bytes - 50100 <= 48


@pytest.mark.parametrize('length', range(len(SMALL.to_bytes())))
def test_every_truncation_is_refused(length):
    with pytest.raises(BitstreamError):
        Bitstream.from_bytes(SMALL.to_bytes()[:length])


def test_every_flipped_bit_is_refused():
    data = SMALL.to_bytes()
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BitstreamError):
            Bitstream.from_bytes(bytes(flipped))


@pytest.mark.parametrize('tail', [b'\0', b'HMC', bytes(64)])
def test_trailing_bytes_are_refused(tail):
    with pytest.raises(BitstreamError, match='damaged or cut short'):
        Bitstream.from_bytes(SMALL.to_bytes() + tail)
    body = SMALL.to_bytes()[:-4]
    with pytest.raises(BitstreamError, match='bytes follow the last stream'):
        Bitstream.from_bytes(with_checksum(body + tail))


@pytest.mark.parametrize('data',
                         [b'', b'HM', b'HMC\1', b'\x89PNG' + bytes(60)])
def test_foreign_file_is_refused(data):
    with pytest.raises(BitstreamError, match='no mmhmc bitstream'):
        Bitstream.from_bytes(data)


@pytest.mark.parametrize('version', [0, 2, 255])
def test_foreign_version_is_refused(version):
    body = b'HMC' + bytes([version]) + SMALL.to_bytes()[4:-4]
    with pytest.raises(BitstreamError, match=f'version {version}, expected 1'):
        Bitstream.from_bytes(with_checksum(body))


def test_every_truncation_with_a_right_checksum_is_refused():
    body = SMALL.to_bytes()[:-4]
    for length in range(len(body)):
        with pytest.raises(BitstreamError):
            Bitstream.from_bytes(with_checksum(body[:length]))


def test_every_flipped_bit_with_a_right_checksum_is_refused_or_read():
    # What can be read is another file, not this one.
    body = SMALL.to_bytes()[:-4]
    for bit in range(8 * len(body)):
        flipped = bytearray(body)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            read = Bitstream.from_bytes(with_checksum(bytes(flipped)))
        except BitstreamError:
            continue
        assert read != SMALL


def test_number_without_an_end_is_refused():
    body = b'HMC\1' + b'\xff' * 20
    with pytest.raises(BitstreamError, match='longer than 32 bits'):
        Bitstream.from_bytes(with_checksum(body))


def test_name_that_is_no_text_is_refused():
    body = b'HMC\1' + b'\2\xff\xfe' + bytes(8)
    with pytest.raises(BitstreamError, match='is not UTF-8'):
        Bitstream.from_bytes(with_checksum(body))


def test_announced_length_is_checked_before_it_is_read():
    body = b'HMC\1' + b'\1X' + b'\1\1' + b'\1' + b'\1y' + b'\xff\xff\xff\x7f'
    with pytest.raises(BitstreamError, match='268435455 bytes were announced'):
        Bitstream.from_bytes(with_checksum(body))


@pytest.mark.parametrize('size', [(0, 5), (5, 0), (-1, 5), (32769, 1),
                                  (16385, 16384), (2**31, 2**31)])
def test_picture_of_absurd_size_is_not_stored(size):
    with pytest.raises(BitstreamError, match='pixels cannot be stored'):
        Bitstream('X', size)


@pytest.mark.parametrize('sides', [
    b'\0\5', b'\5\0', b'\x81\x80\2\1', b'\x81\x80\1\x80\x80\1',
    b'\xff\xff\xff\xff\x7f' * 2
])
def test_header_that_claims_an_absurd_size_is_refused(sides):
    body = b'HMC\1' + b'\1X' + sides + b'\1' + b'\1y\0'
    with pytest.raises(BitstreamError, match='pixels cannot be stored'):
        Bitstream.from_bytes(with_checksum(body))


def test_error_is_a_value_error():
    assert issubclass(BitstreamError, ValueError)
