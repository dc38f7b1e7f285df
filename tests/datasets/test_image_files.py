"""What is read, and what is refused."""
import os
import struct
import zlib

import cv2
import numpy as np
import pytest
import torch
from allpairspy import AllPairs
from PIL import Image, PngImagePlugin

from mmhmc.bitstream.container import MAX_PIXELS, MAX_SIDE
from mmhmc.datasets import read_image, read_note, read_size, write_image
from mmhmc.datasets.image_files import is_marked_as_turned

HEIGHT, WIDTH = 6, 9


def pixels(*channels, dtype=np.uint8):
    most = np.iinfo(dtype).max
    return np.random.randint(
        most + 1, size=(HEIGHT, WIDTH, *channels)).astype(dtype)


def as_tensor(array, most=255):
    if array.ndim == 2:
        array = np.stack([array] * 3, -1)
    return torch.from_numpy(array.transpose(2, 0, 1) / np.float32(most))


def png_bytes(array, color_type, *chunks, bits=16, size=None):
    """A PNG by its chunks, for what no library writes."""

    def chunk(name, data):
        body = name + data
        return struct.pack('>I', len(data)) + body + struct.pack(
            '>I', zlib.crc32(body))

    height, width = size or array.shape[:2]
    rows = b''.join(b'\0' + row.astype('>u2').tobytes() for row in array)
    return b'\x89PNG\r\n\x1a\n' + chunk(
        b'IHDR',
        struct.pack('>IIBBBBB', width, height, bits, color_type, 0, 0,
                    0)) + b''.join(chunk(*c) for c in chunks) + chunk(
                        b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b'')


@pytest.mark.parametrize('suffix', ['png', 'bmp', 'tif', 'webp', 'PNG'])
def test_rgb_is_read_exactly(tmp_path, suffix):
    array, path = pixels(3), tmp_path / f'a.{suffix}'
    Image.fromarray(array).save(path, lossless=True)
    x = read_image(path)
    assert x.dtype == torch.float32 and x.shape == (3, HEIGHT, WIDTH)
    assert torch.equal(x, as_tensor(array))
    assert torch.equal(read_image(str(path)), x)


def test_jpeg_is_what_pillow_reads(tmp_path):
    path = tmp_path / 'a.jpg'
    Image.fromarray(pixels(3)).save(path)
    assert torch.equal(
        read_image(path), as_tensor(np.asarray(Image.open(path))))


@pytest.mark.parametrize('suffix', ['png', 'jpg', 'bmp', 'tif'])
def test_grey_becomes_three_equal_channels(tmp_path, suffix):
    path = tmp_path / f'a.{suffix}'
    Image.fromarray(pixels()).save(path)
    expected = as_tensor(np.asarray(Image.open(path)))
    assert torch.equal(read_image(path), expected)


def test_two_levels_are_black_and_white(tmp_path):
    bits = pixels() > 127
    Image.fromarray(bits).save(tmp_path / 'a.png')
    assert torch.equal(read_image(tmp_path / 'a.png'), as_tensor(bits, most=1))


def test_palette_is_expanded(tmp_path):
    image = Image.fromarray(pixels(3)).convert('P')
    image.save(tmp_path / 'a.png')
    expected = as_tensor(np.asarray(image.convert('RGB')))
    assert torch.equal(read_image(tmp_path / 'a.png'), expected)


@pytest.mark.parametrize('channels', [(), (3, )])
@pytest.mark.parametrize('suffix', ['png', 'tif'])
def test_16_bits_keep_all_of_them(tmp_path, suffix, channels):
    array, path = pixels(*channels, dtype=np.uint16), tmp_path / f'a.{suffix}'
    cv2.imwrite(str(path), array[..., ::-1] if channels else array)
    assert torch.equal(read_image(path), as_tensor(array, 65535))


def test_16_bit_alpha_that_is_opaque_is_dropped(tmp_path):
    array = pixels(4, dtype=np.uint16)
    array[..., 3] = 65535
    (tmp_path / 'a.png').write_bytes(png_bytes(array, 6))
    grey = array[..., 2:]
    (tmp_path / 'b.png').write_bytes(png_bytes(grey, 4))
    assert torch.equal(
        read_image(tmp_path / 'a.png'), as_tensor(array[..., :3], 65535))
    assert torch.equal(
        read_image(tmp_path / 'b.png'), as_tensor(grey[..., 0], 65535))


def test_16_bit_alpha_that_is_not_opaque_is_refused(tmp_path):
    array = pixels(4, dtype=np.uint16)
    array[..., 3] = 65535
    array[0, 0, 3] = 65534
    (tmp_path / 'a.png').write_bytes(png_bytes(array, 6))
    with pytest.raises(ValueError, match='transparent in 1 of 54 pixels'):
        read_image(tmp_path / 'a.png')


def exif_of(orientation):
    exif = Image.Exif()
    exif[274] = orientation
    return exif.tobytes()


def xmp_of(orientation):
    return (b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description '
            b'tiff:Orientation="%d"/></rdf:RDF></x:xmpmeta>' % orientation)


def save_marked(array, path, kind, orientation):
    """A file that says in one way or another that it is turned."""
    image, options = Image.fromarray(array), {}
    if kind == 'exif':
        options['exif'] = exif_of(orientation)
    elif kind == 'xmp' and path.suffix == '.tif':
        options['tiffinfo'] = {700: xmp_of(orientation)}
    elif kind == 'xmp' and path.suffix == '.png':
        options['pnginfo'] = PngImagePlugin.PngInfo()
        options['pnginfo'].add_itxt('XML:com.adobe.xmp',
                                    xmp_of(orientation).decode())
    elif kind == 'text':
        options['pnginfo'] = PngImagePlugin.PngInfo()
        exif = exif_of(orientation)
        options['pnginfo'].add_text('Raw profile type exif',
                                    f'\nexif\n{len(exif):8}\n{exif.hex()}\n')
    elif kind == 'xmp':
        options['xmp'] = xmp_of(orientation)
    if path.suffix == '.jpg':
        options['quality'] = 95
    elif path.suffix == '.webp':
        options['lossless'] = True
    image.save(path, **options)
    if kind == 'xmp before exif':
        data = path.read_bytes()
        marks = b''.join(b'\xff\xe1' + struct.pack('>H', 2 + len(mark)) + mark
                         for mark in (b'http://ns.adobe.com/xap/1.0/\0',
                                      exif_of(orientation)))
        path.write_bytes(data[:2] + marks + data[2:])


MARKS = [(suffix, kind) for suffix in ('jpg', 'png', 'tif', 'webp')
         for kind in ('exif', 'xmp')] + [('png', 'text'),
                                         ('jpg', 'xmp before exif')]


@pytest.mark.parametrize('suffix, kind', MARKS)
def test_image_is_turned_as_hosts_turn_it(tmp_path, suffix, kind, subtests):
    path = tmp_path / f'a.{suffix}'
    # 0 and 9 are no orientations.
    for orientation in range(10):
        with subtests.test(orientation=orientation):
            save_marked(pixels(3), path, kind, orientation)
            # mmcv's reader, at its defaults.
            seen = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
            image = read_image(path)
            assert torch.equal(image, as_tensor(seen[..., ::-1]))
            assert read_size(path) == tuple(image.shape[1:])
            assert is_marked_as_turned(path) == (2 <= orientation <= 8
                                                 and (suffix, kind)
                                                 != ('tif', 'xmp'))


@pytest.mark.parametrize('suffix', ['png', 'tif'])
def test_marked_as_turned_is_turned_upright(tmp_path, suffix, subtests):
    array, path = pixels(3), tmp_path / f'a.{suffix}'
    # EXIF: where row 0 and column 0 of the file are in the upright image.
    turned = [
        array, array[:, ::-1], array[::-1, ::-1], array[::-1],
        array.transpose(1, 0, 2),
        np.rot90(array, 1), array[::-1, ::-1].transpose(1, 0, 2),
        np.rot90(array, -1)
    ]
    for orientation, stored in enumerate(turned, 1):
        with subtests.test(orientation=orientation):
            save_marked(
                np.ascontiguousarray(stored), path, 'exif', orientation)
            assert torch.equal(read_image(path), as_tensor(array))


def test_mark_that_hosts_do_not_heed_is_told(tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr('mmhmc.datasets.image_files.print_log',
                        lambda line, **_: lines.append(line))
    for kind in ('exif', 'xmp'):
        save_marked(pixels(3), tmp_path / f'{kind}.jpg', kind, 6)
        read_image(tmp_path / f'{kind}.jpg')
    line, = lines
    assert 'xmp.jpg is marked as turned in a way that hosts do not' in line


@pytest.mark.parametrize('mode', ['LA', 'RGBA'])
@pytest.mark.parametrize('suffix', ['png', 'tif'])
def test_alpha_that_is_opaque_is_dropped(tmp_path, mode, suffix):
    image = Image.fromarray(pixels(3)).convert(mode[:-1])
    expected = as_tensor(np.asarray(image))
    image.convert(mode).save(tmp_path / f'a.{suffix}')
    assert torch.equal(read_image(tmp_path / f'a.{suffix}'), expected)


def transparent(name):
    if name == 'palette':
        return Image.fromarray(
            pixels(3)).convert('P'), dict(transparency=bytes(256))
    if name == 'colour':
        array = pixels(3)
        return Image.fromarray(array), dict(
            transparency=tuple(array[0, 0].tolist()))
    array = pixels(4)
    array[..., 3] = 254
    return Image.fromarray(array), {}


@pytest.mark.parametrize('name', ['palette', 'colour', 'alpha'])
def test_transparency_is_refused_with_the_remedy(tmp_path, name):
    image, options = transparent(name)
    image.save(tmp_path / 'a.png', **options)
    with pytest.raises(
            ValueError, match=r'a\.png is transparent .* on a background'):
        read_image(tmp_path / 'a.png')


def test_transparent_16_bit_colour_is_refused(tmp_path):
    array = pixels(3, dtype=np.uint16)
    key = array[0, 0].astype('>u2').tobytes()
    (tmp_path / 'a.png').write_bytes(png_bytes(array, 2, (b'tRNS', key)))
    with pytest.raises(ValueError, match='16 bits and a transparent colour'):
        read_image(tmp_path / 'a.png')


def test_16_bit_colour_that_is_turned_is_refused(tmp_path):
    (tmp_path / 'a.png').write_bytes(
        png_bytes(pixels(3, dtype=np.uint16), 2, (b'eXIf', exif_of(6)[6:])))
    with pytest.raises(ValueError, match='marked as turned. Turn its pixels'):
        read_image(tmp_path / 'a.png')


@pytest.mark.parametrize('mode, suffix', [('CMYK', 'jpg'), ('LAB', 'tif'),
                                          ('F', 'tif'), ('I', 'tif')])
def test_other_kinds_of_pixels_are_refused_by_name(tmp_path, mode, suffix):
    image = Image.fromarray(pixels(3))
    image = image.convert('L').convert(mode) if mode in 'FI' else \
        image.convert(mode)
    image.save(tmp_path / f'a.{suffix}')
    with pytest.raises(ValueError, match=rf'a\.{suffix} .* kind {mode};'):
        read_image(tmp_path / f'a.{suffix}')


@pytest.mark.parametrize('suffix', ['png', 'webp', 'tif'])
def test_several_images_in_one_file_are_refused(tmp_path, suffix):
    first, second = (Image.fromarray(pixels(3)) for _ in range(2))
    path = tmp_path / f'a.{suffix}'
    first.save(path, save_all=True, append_images=[second])
    with pytest.raises(ValueError, match='holds 2 images; expected one'):
        read_image(path)


def test_first_image_of_a_telephones_jpeg_is_read(tmp_path):
    first, second = (Image.fromarray(pixels(3)) for _ in range(2))
    first.save(tmp_path / 'one.jpg')
    first.save(
        tmp_path / 'two.jpg', 'MPO', save_all=True, append_images=[second])
    assert Image.open(tmp_path / 'two.jpg').n_frames == 2
    assert torch.equal(
        read_image(tmp_path / 'two.jpg'), read_image(tmp_path / 'one.jpg'))


@pytest.mark.parametrize('content, words', [
    (b'', 'is empty; expected PNG'),
    (b'some text\n' * 50, 'is no image; expected PNG'),
    (b'\x89PNG\r\n\x1a\n', 'is no image; expected PNG'),
])
def test_what_is_no_image_is_refused_by_name(tmp_path, content, words):
    (tmp_path / 'a.png').write_bytes(content)
    with pytest.raises(ValueError, match=rf'a\.png {words}'):
        read_image(tmp_path / 'a.png')


def test_format_that_is_not_read_is_refused(tmp_path):
    Image.fromarray(pixels(3)).save(tmp_path / 'a.gif')
    with pytest.raises(ValueError, match=r'a\.gif is no image; expected'):
        read_image(tmp_path / 'a.gif')


@pytest.mark.parametrize('suffix', ['png', 'jpg', 'webp', 'bmp', 'tif'])
def test_truncated_file_is_refused_by_name(tmp_path, suffix):
    path = tmp_path / f'a.{suffix}'
    Image.fromarray(np.tile(pixels(3), (9, 9, 1))).save(path)
    content = path.read_bytes()
    for length in (len(content) // 3, 2 * len(content) // 3):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=rf'a\.{suffix} is '):
            read_image(path)


@pytest.mark.parametrize('depth', [np.uint8, np.uint16])
def test_damaged_bytes_end_in_a_image_or_a_typed_error(tmp_path, depth):
    path, rng = tmp_path / 'a.png', np.random.default_rng(0)
    cv2.imwrite(str(path), pixels(3, dtype=depth))
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    for _ in range(60):
        broken = whole.copy()
        places = rng.integers(8, len(whole), 3)
        broken[places] = rng.integers(256, size=3)
        # Sizes stay: a larger image would be a slow test, not a better one.
        broken[16:24] = whole[16:24]
        path.write_bytes(broken.tobytes())
        try:
            read_image(path)
        except ValueError as error:
            assert 'a.png' in str(error)


def test_missing_file_and_folder_are_refused_by_name(tmp_path):
    with pytest.raises(FileNotFoundError, match='nothing.png'):
        read_image(tmp_path / 'nothing.png')
    with pytest.raises(IsADirectoryError):
        read_image(tmp_path)


@pytest.mark.parametrize('size', [(MAX_SIDE + 1, 1), (1, MAX_SIDE + 1),
                                  (MAX_SIDE, MAX_PIXELS // MAX_SIDE + 1)])
def test_absurd_size_is_refused_before_pixels_are_decoded(tmp_path, size):
    # The pixels are not there: to decode them would be another error.
    (tmp_path / 'a.png').write_bytes(
        png_bytes(pixels(3, dtype=np.uint16), 2, size=size))
    with pytest.raises(ValueError, match=f'{size[0]} x {size[1]} pixels; no'):
        read_image(tmp_path / 'a.png')


def test_limit_of_pillow_does_not_count_and_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 1)
    array = pixels(3)
    (tmp_path / 'a.bmp').write_bytes(cv2.imencode('.bmp', array)[1].tobytes())
    assert torch.equal(
        read_image(tmp_path / 'a.bmp'), as_tensor(array[..., ::-1]))
    assert Image.MAX_IMAGE_PIXELS == 1


def test_written_image_is_clamped_rounded_and_read_back(tmp_path):
    x = torch.rand(3, HEIGHT, WIDTH) * 1.2 - 0.1
    write_image(tmp_path / 'a.png', x)
    expected = x.clamp(0, 1).mul(255).round() / 255
    assert torch.equal(read_image(tmp_path / 'a.png'), expected)
    assert [path.name for path in tmp_path.iterdir()] == ['a.png']


def test_note_is_kept_with_the_image(tmp_path):
    x = torch.rand(3, HEIGHT, WIDTH)
    write_image(tmp_path / 'a.png', x, note='of a stream')
    write_image(tmp_path / 'b.png', x)
    assert read_note(tmp_path / 'a.png') == 'of a stream'
    assert read_note(tmp_path / 'b.png') is None


def test_what_is_no_image_is_not_written(tmp_path):
    with pytest.raises(ValueError, match=r'name must end in \.png'):
        write_image(tmp_path / 'a.jpg', torch.rand(3, 4, 4))
    for x in (torch.rand(1, 4, 4), torch.full((3, 4, 4), torch.nan)):
        with pytest.raises(ValueError, match='with finite values'):
            write_image(tmp_path / 'a.png', x)
    assert not list(tmp_path.iterdir())


def with_chunk(content, kind, data, behind=False):
    """A PNG with one more chunk, behind the header or at the end."""
    chunk = struct.pack('>I', len(data)) + kind + data + struct.pack(
        '>I', zlib.crc32(kind + data))
    at = len(content) - 12 if behind else 33
    return content[:at] + chunk + content[at:]


LARGE = {
    'zTXt': b'note\0\0' + zlib.compress(bytes(3 << 20)),
    'iTXt': b'note\0\1\0\0\0' + zlib.compress(bytes(3 << 20)),
    'tEXt': b'note\0' + b'a' * (3 << 20),
    'iCCP': b'profile\0\0' + zlib.compress(bytes(3 << 20)),
}


@pytest.mark.parametrize(
    'kind, behind, dtype',
    AllPairs([[*LARGE], [False, True], [np.uint8, np.uint16]]))
def test_large_texts_and_profiles_refuse_no_image(tmp_path, kind, behind,
                                                  dtype):
    array = pixels(3, dtype=dtype)
    content = cv2.imencode('.png', array)[1].tobytes()
    path = tmp_path / 'a.png'
    path.write_bytes(content)
    expected = read_image(path)
    path.write_bytes(with_chunk(content, kind.encode(), LARGE[kind], behind))
    assert torch.equal(read_image(path), expected)
    assert read_size(path) == (HEIGHT, WIDTH)


def test_many_texts_refuse_no_image(tmp_path):
    content = cv2.imencode('.png', pixels(3))[1].tobytes()
    one = b'note\0\0' + zlib.compress(bytes(1 << 18))
    for _ in range(300):
        content = with_chunk(content, b'zTXt', one)
    (tmp_path / 'a.png').write_bytes(content)
    assert read_image(tmp_path / 'a.png').shape == (3, HEIGHT, WIDTH)


def test_pipe_is_refused_and_never_waited_for(tmp_path):
    os.mkfifo(tmp_path / 'a.png')
    with pytest.raises(ValueError, match='a.png is a pipe or a device'):
        read_image(tmp_path / 'a.png')
