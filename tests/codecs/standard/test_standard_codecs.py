"""What holds for every standard codec; a codec is a row of a table."""
import copy
import io
import json
import pickle
import sys

import pytest
import torch
from conftest import batch_of, smooth_images, wrapped_model
from PIL import Image

from mmhmc.bitstream import Bitstream, BitstreamError
from mmhmc.codecs import build_codec
from mmhmc.functional import count_bits
from mmhmc.structures import CodingCondition

#: The quickest settings of each.
CODECS = dict(
    HEVCIntra=dict(preset='ultrafast'),
    VVCIntra=dict(preset='faster'),
    JPEG=dict(),
    WebP=dict(method=0),
    AVIF=dict(speed=10),
    JPEGXL=dict(effort=1))
#: From the lowest rate to the highest.
QUALITIES = dict(
    HEVCIntra=(45, 35, 25),
    VVCIntra=(45, 35, 25),
    JPEG=(10, 50, 90),
    WebP=(5, 50, 90),
    AVIF=(10, 50, 90),
    JPEGXL=(10, 50, 90))
#: How a file begins; an image's own format is known by more than that.
MAGIC = dict(
    HEVCIntra=b'\0\0\0\1\x40\1',
    VVCIntra=b'\0\0\0\1\0\x79',
    JPEG=b'\xff\xd8\xff',
    WebP=b'RIFF',
    AVIF=b'\0\0\0 ftypavif',
    JPEGXL=b'\xff\x0a')
#: ffmpeg has no room for the files of lower QPs of such small images.
ENDS = dict(VVCIntra=(10, 63))
SIZES = [(1, 1), (17, 65), (1, 40), (35, 3)]
PILLOW = ('JPEG', 'WebP', 'AVIF', 'JPEGXL')
VIDEO = ('HEVCIntra', 'VVCIntra')

every_codec = pytest.mark.parametrize('name', CODECS)


def make(name, **kwargs):
    settings = {**CODECS[name], **kwargs}
    return build_codec(dict(type=f'mmhmc.{name}', **settings)).eval()


def psnr(x, x_hat):
    return -10 * (x - x_hat).square().mean().log10().item()


def file_of(stream):
    return stream.streams['file']


def with_file(stream, data, **kwargs):
    settings = dict(weights=stream.weights, **kwargs)
    return Bitstream(stream.codec, stream.size, dict(file=data), **settings)


# Images and files.


@every_codec
def test_image_of_any_size_comes_back_from_its_bytes(name, subtests):
    codec = make(name, quality=QUALITIES[name][2])
    for size in SIZES:
        with subtests.test(size=size):
            x = smooth_images(1, *size)
            stream, = codec.compress(x)
            assert (stream.size, stream.coded_size) == (size, size)
            read = Bitstream.from_bytes(stream.to_bytes())
            assert read == stream
            x_hat = codec.decompress([read])
            assert x_hat.shape == x.shape and x_hat.dtype == torch.float32
            assert x_hat.min() >= 0 and x_hat.max() <= 1
            # The chroma of WebP and VVC has half the resolution.
            assert psnr(x.mean(1), x_hat.mean(1)) > 28


@every_codec
def test_rate_and_quality_of_the_image_rise_together(name):
    codec, x = make(name), smooth_images(1, 64, 96)
    lengths, scores = [], []
    for quality in QUALITIES[name]:
        stream, = codec.compress(x, CodingCondition(quality=quality))
        assert stream.quality == quality
        lengths.append(codec.num_bytes(stream))
        scores.append(psnr(x, codec.decompress([stream])))
    assert lengths[0] < lengths[1] < lengths[2]
    assert scores[0] < scores[1] < scores[2]


@every_codec
def test_both_ends_of_the_quality_range_code(name):
    codec, x = make(name), smooth_images(1, 32, 48)
    low, high = (
        psnr(x, codec.decompress(codec.compress(x, CodingCondition(q))))
        for q in ENDS.get(name, codec.quality_range))
    assert min(low, high) > 10
    assert (high < low) == (name in VIDEO)


@every_codec
def test_payload_is_the_encoders_file_and_alone_counts(name):
    codec, x = make(name), smooth_images(1, 33, 50)
    stream, = codec.compress(x)
    data = file_of(stream)
    assert list(stream.streams) == ['file']
    assert data == codec.encode_file(x, codec.quality)
    assert data.startswith(MAGIC[name])
    assert codec.num_bytes(stream) == len(data) < len(stream.to_bytes())


@pytest.mark.parametrize('name', PILLOW)
def test_pillow_knows_the_file(name):
    stream, = make(name).compress(smooth_images(1, 33, 50))
    with Image.open(io.BytesIO(file_of(stream))) as image:
        assert image.size == (50, 33)
        assert image.format == make(name)._format


@every_codec
def test_forward_decodes_what_compress_writes(name):
    codec, x = make(name), smooth_images(2, 20, 30)
    output, streams = codec(x), codec.compress(x)
    assert torch.equal(output.x_hat, codec.decompress(streams))
    lengths = [codec.num_bytes(stream) for stream in streams]
    bits = count_bits(output.likelihoods, [(20, 30)] * 2, (20, 30))
    assert bits.tolist() == [8 * length for length in lengths]


@every_codec
def test_list_of_images_of_different_sizes(name):
    codec = make(name)
    images = [smooth_images(1, *size)[0] for size in ((20, 30), (41, 16))]
    streams = codec.compress(images)
    assert [stream.size for stream in streams] == [(20, 30), (41, 16)]
    decoded = codec.decompress(streams)
    assert [x.shape for x in decoded] == [x.shape for x in images]


@every_codec
def test_copies_write_the_same_bytes(name):
    codec, x = make(name), smooth_images(1, 20, 30)
    expected = codec.compress(x)
    assert copy.deepcopy(codec).compress(x) == expected
    assert pickle.loads(pickle.dumps(codec)).compress(x) == expected
    assert not codec.state_dict() and not list(codec.parameters())


@every_codec
def test_values_beyond_the_range_are_clamped(name):
    codec, x = make(name), smooth_images(1, 16, 16)
    assert codec.compress(4 * x - 2) == codec.compress((4 * x - 2).clamp(0, 1))


# In front of a host.


@every_codec
def test_host_sees_the_decoded_image_and_real_bytes_are_counted(name):
    model = wrapped_model(dict(type=f'mmhmc.{name}', **CODECS[name])).eval()
    batch = model.data_preprocessor(batch_of((33, 50)))
    with torch.no_grad(), model.backbone.recording() as records:
        model(**batch, mode='predict')
    coded, = records
    stream, = model.backbone.codec.compress(coded.x)
    assert torch.equal(coded.x_bar, model.backbone.codec.decompress([stream]))
    assert coded.num_bytes == [len(file_of(stream))]
    assert coded.bits.tolist() == [8 * len(file_of(stream))]


@every_codec
def test_training_is_refused(name):
    codec = make(name).train()
    with pytest.raises(
            RuntimeError, match='cannot be trained; call `codec.ev'):
        codec(smooth_images(1, 16, 16))
    with pytest.raises(RuntimeError, match='has no gradient'):
        codec.compress(smooth_images(1, 16, 16))
    with pytest.raises(RuntimeError, match='no symbols; use `read`'):
        codec.read_latents({}, (16, 16))


# Settings.


@every_codec
def test_settings_are_json_with_type_quality_and_version(name):
    settings = make(name, quality=30).settings()
    assert json.loads(json.dumps(settings)) == settings
    assert (settings['type'], settings['quality']) == (name, 30)
    assert any(digit in settings['version'] for digit in '0123456789')
    assert settings['encoder']


@every_codec
def test_quality_is_checked(name):
    low, high = make(name).quality_range
    for wrong in (low - 1, high + 1, 30.5):
        with pytest.raises(ValueError, match=f'whole number from {low} to'):
            make(name, quality=wrong)
        with pytest.raises(ValueError, match=f'whole number from {low} to'):
            make(name).compress(
                smooth_images(1, 8, 8), CodingCondition(quality=wrong))
    assert make(name, quality=low).quality == low


@every_codec
def test_other_controls_are_refused(name):
    with pytest.raises(ValueError, match='no run-time control but `quality`'):
        make(name).compress(
            smooth_images(1, 8, 8), CodingCondition(quality=30, beta=1.))
    with pytest.raises(ValueError, match='must be finite'):
        make(name).compress(torch.full((1, 3, 8, 8), torch.nan))


@every_codec
def test_constructors_quality_is_overridden_for_one_call_only(name):
    low, _, high = QUALITIES[name]
    codec, x = make(name, quality=low), smooth_images(1, 16, 16)
    fine, = codec.compress(x, CodingCondition(quality=high))
    assert file_of(fine) == file_of(make(name, quality=high).compress(x)[0])
    assert codec.compress(x) == make(name, quality=low).compress(x)


@pytest.mark.parametrize('name, wrong, match', [
    ('JPEG', dict(subsampling='4:1:1'), '`subsampling` must be one of'),
    ('WebP', dict(method=7), '`method` must be a whole number from 0 to 6'),
    ('AVIF', dict(speed=11), '`speed` must be a whole number from 0 to 10'),
    ('AVIF', dict(tune='vmaf'), '`tune` must be'),
    ('JPEGXL', dict(effort=0), '`effort` must be a whole number from 1'),
    ('HEVCIntra', dict(preset='best'), '`preset` must be one of'),
    ('HEVCIntra', dict(bit_depth=12), '`bit_depth` must be 8 or 10'),
    ('HEVCIntra', dict(matrix='rgb'), '`matrix` must be one of'),
    ('HEVCIntra', dict(encoder='hm'), '`encoder_config` belong together'),
    ('HEVCIntra', dict(timeout=0), '`timeout` must be positive'),
    ('VVCIntra', dict(chroma='444'), 'VVenC codes 4:2:0 with 10 bits only'),
    ('VVCIntra', dict(bit_depth=8), 'Give VTM as `encoder`'),
])
def test_unknown_settings_are_refused(name, wrong, match):
    with pytest.raises(ValueError, match=match):
        make(name, **wrong)


@pytest.mark.parametrize('chroma', ['444', '422', '420', '400'])
@pytest.mark.parametrize('bit_depth', [8, 10])
def test_hevc_codes_every_format(chroma, bit_depth):
    codec = make('HEVCIntra', quality=15, chroma=chroma, bit_depth=bit_depth)
    grey = smooth_images(1, 35, 43).mean(1, keepdim=True)
    x = grey.expand(-1, 3, -1, -1)
    x_hat = codec.decompress(codec.compress(x))
    assert psnr(x, x_hat) > 38
    assert chroma != '400' or torch.equal(x_hat[:, 0], x_hat[:, 1])


@pytest.mark.parametrize('name', VIDEO)
@pytest.mark.parametrize(
    'kwargs', [
        dict(matrix='bt601'),
        dict(full_range=False),
    ], ids=str)
def test_every_matrix_and_range_gives_the_same_colours(name, kwargs):
    x = torch.tensor([0.2, 0.5, 0.8]).view(1, 3, 1, 1).expand(1, 3, 32, 32)
    codec = make(name, quality=15, **kwargs)
    assert psnr(x, codec.decompress(codec.compress(x))) > 38
    # Other settings would show other colours.
    with pytest.raises(BitstreamError, match='written by .* with other sett'):
        make(name).decompress(codec.compress(x))


def test_options_reach_the_encoder():
    x = smooth_images(1, 64, 64)
    plain, = make('HEVCIntra').compress(x)
    coarse, = make('HEVCIntra', options=dict(cbqpoffs=12)).compress(x)
    assert file_of(plain) != file_of(coarse)


@pytest.mark.parametrize('name', VIDEO)
@pytest.mark.parametrize(
    'options', [dict(qqp=3), dict(threads='none')], ids=str)
def test_switch_that_the_encoder_does_not_know_is_an_error(name, options):
    codec = make(name, options=options)
    with pytest.raises(RuntimeError, match='last words: .* Check `options`'):
        codec.compress(smooth_images(1, 8, 8))


# Bad files, and what is missing.


@every_codec
def test_damaged_file_is_a_bitstream_error(name, subtests):
    codec = make(name)
    stream, = codec.compress(smooth_images(1, 64, 64))
    data = file_of(stream)
    damages = dict(
        empty=b'',
        cut=data[:20],
        zeros=b'\0' * len(data),
        noise=bytes(range(256)) * 4)
    for damage, bad in damages.items():
        with subtests.test(damage), pytest.raises(
                BitstreamError, match='damaged'):
            codec.decompress([with_file(stream, bad)])


@every_codec
def test_damage_anywhere_is_found_by_the_container(name):
    stream, = make(name).compress(smooth_images(1, 64, 64))
    data = bytearray(stream.to_bytes())
    data[-9] ^= 1
    with pytest.raises(BitstreamError, match="checksum of stream 'file'"):
        Bitstream.from_bytes(bytes(data))


@every_codec
def test_image_of_another_size_than_announced_is_refused(name):
    codec = make(name)
    stream, = codec.compress(smooth_images(1, 64, 64))
    wrong = Bitstream(
        stream.codec, (64, 80), stream.streams, weights=stream.weights)
    with pytest.raises(BitstreamError, match='expected|a frame of 64 x 80'):
        codec.decompress([wrong])


@every_codec
def test_file_of_another_codec_is_refused(name):
    other = 'WebP' if name == 'JPEG' else 'JPEG'
    stream, = make(other).compress(smooth_images(1, 8, 8))
    with pytest.raises(BitstreamError, match=f'This codec is {name}'):
        make(name).decompress([stream])


@every_codec
def test_one_file_is_written_at_a_time(name):
    codec = make(name)
    output = codec.encode_latents(smooth_images(2, 8, 8))
    with pytest.raises(ValueError, match='one image of size .* got 2'):
        codec.write(output, (8, 8))


@pytest.mark.parametrize('name, module, package', [
    ('HEVCIntra', 'imageio_ffmpeg', 'imageio-ffmpeg'),
    ('VVCIntra', 'imageio_ffmpeg', 'imageio-ffmpeg'),
    ('JPEGXL', 'pillow_jxl', 'pillow-jxl-plugin'),
])
def test_missing_package_is_named_when_it_is_used(monkeypatch, name, module,
                                                  package):
    codec, x = make(name), smooth_images(1, 8, 8)
    stream, = codec.compress(x)
    monkeypatch.setitem(sys.modules, module, None)
    codec = make(name)
    for use in (codec.settings, lambda: codec.compress(x),
                lambda: codec.decompress([stream])):
        with pytest.raises(RuntimeError, match=f'pip install {package}'):
            use()


def test_file_that_ffmpeg_has_no_room_for_is_an_error():
    with pytest.raises(RuntimeError, match='a higher QP needs less'):
        make('VVCIntra', quality=0).compress(torch.rand(1, 3, 32, 32))


@pytest.mark.parametrize('name', ['WebP', 'AVIF'])
def test_pillow_without_the_format_is_named(monkeypatch, name):
    monkeypatch.setattr('PIL.features.check', lambda feature: False)
    with pytest.raises(RuntimeError, match="`pip install 'pillow>=11.3'`"):
        make(name).compress(smooth_images(1, 8, 8))


def test_image_that_an_encoder_does_not_take_is_its_error():
    with pytest.raises(RuntimeError, match=r'webp .* of size \(1, 16400\)'):
        make('WebP').compress(torch.zeros(1, 3, 1, 16400))
