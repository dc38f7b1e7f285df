"""HM and VTM, played by scripts that keep the frame as it is."""
import json
import os
import sys

import pytest
import torch
from conftest import smooth_images

from mmhmc.bitstream import BitstreamError
from mmhmc.codecs import HEVCIntra, VVCIntra

# Notes its arguments beside itself; the "bitstream" is the frame.
ENCODER = '''
import json, pathlib, sys
if '--help' in sys.argv:
    sys.exit(print('\\nHM software: Encoder Version [16.20]'))
pathlib.Path(__file__ + '.json').write_text(json.dumps(sys.argv[1:]))
values = dict(a[2:].split('=', 1) for a in sys.argv[1:] if a[:2] == '--')
data = pathlib.Path(values['InputFile']).read_bytes()
pathlib.Path(values['BitstreamFile']).write_bytes(b'stub' + data)
'''
DECODER = '''
import json, pathlib, sys
if '--help' in sys.argv:
    sys.exit('VTM Decoder Version 9.1')
pathlib.Path(__file__ + '.json').write_text(json.dumps(sys.argv[1:]))
values = dict(zip(sys.argv[1::2], sys.argv[2::2]))
data = pathlib.Path(values['-b']).read_bytes()
if data[:4] != b'stub':
    print('Error: no parameter sets')
    sys.exit(3)
pathlib.Path(values['-o']).write_bytes(data[4:])
'''


def program(folder, name, text):
    path = folder / name
    path.write_text(f'#!{sys.executable} -SE\n{text}')
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def reference(tmp_path):
    """The arguments that name the two scripts and a configuration."""
    config = tmp_path / 'intra.cfg'
    config.write_text('IntraPeriod : 1\n')
    return dict(
        encoder=program(tmp_path, 'EncoderApp', ENCODER),
        decoder=program(tmp_path, 'DecoderApp', DECODER),
        encoder_config=str(config))


def arguments_of(path):
    with open(f'{path}.json') as file:
        return json.load(file)


@pytest.mark.parametrize('codec_type', [HEVCIntra, VVCIntra])
def test_frame_goes_through_the_programs(codec_type, reference):
    codec = codec_type(
        40, '444', 8, **reference, options=dict(Level='5.1')).eval()
    x = smooth_images(1, 33, 50)
    stream, = codec.compress(x)
    # 34 x 50 samples in each of three planes.
    assert codec.num_bytes(stream) == 4 + 3 * 34 * 50
    assert (codec.decompress([stream]) - x).abs().max() < 1.5 / 255
    values = dict(a[2:].split('=') for a in arguments_of(codec.encoder)[2:])
    assert arguments_of(
        codec.encoder)[:2] == ['-c', reference['encoder_config']]
    folder = os.path.dirname(values.pop('InputFile'))
    assert os.path.dirname(values.pop('BitstreamFile')) == folder
    assert not os.path.exists(folder)
    assert values == dict(
        SourceWidth='50',
        SourceHeight='34',
        InputBitDepth='8',
        InputChromaFormat='444',
        FrameRate='1',
        FramesToBeEncoded='1',
        ConformanceWindowMode='1',
        QP='40',
        ReconFile='',
        Level='5.1')
    assert arguments_of(codec.decoder)[-2:] == ['-d', '8']


def test_ten_bits_and_less_chroma_go_through_the_programs(reference):
    codec = VVCIntra(30, '420', 10, **reference).eval()
    x = torch.full((1, 3, 32, 64), 0.5)
    stream, = codec.compress(x)
    assert codec.num_bytes(stream) == 4 + 2 * (32 * 64 * 3 // 2)
    assert (codec.decompress([stream]) - x).abs().max() < 1 / 1023


def test_settings_tell_programs_and_configuration(reference):
    settings = VVCIntra(30, '444', 8, **reference).settings()
    assert settings['encoder'] == 'EncoderApp'
    assert settings['version'] == 'HM software: Encoder Version [16.20]'
    assert settings['decoder'] == 'DecoderApp'
    assert settings['encoder_config'] == {'intra.cfg': 'IntraPeriod : 1\n'}
    assert json.loads(json.dumps(settings)) == settings


def test_file_that_the_decoder_refuses_is_a_bitstream_error(reference):
    codec = VVCIntra(30, '444', 8, **reference)
    with pytest.raises(
            BitstreamError,
            match='DecoderApp` ended with exit code 3.* no parameter sets'):
        codec.decode_file(b'another', (32, 32))
    with pytest.raises(BitstreamError, match='decodes to 9 bytes; a frame of'):
        codec.decode_file(b'stub' + bytes(9), (32, 32))
    with pytest.raises(BitstreamError, match='exit code 0, but wrote nothing'):
        codec.decode_file(b'stub', (32, 32))


@pytest.mark.parametrize('text, match', [
    ('raise SystemExit("no QP")',
     r'exit code 1; .*no QP. Check `encoder_config` and `options`'),
    ('pass', 'EncoderApp` ended with exit code 0, but wrote nothing'),
    ('import time; print("frame 0", flush=True); time.sleep(60)',
     'EncoderApp` was ended after 0.5 seconds; its last words: frame 0'),
])
def test_failing_encoder_is_named_with_its_last_words(tmp_path, reference,
                                                      text, match):
    reference['encoder'] = program(tmp_path, 'EncoderApp', text)
    codec = HEVCIntra(30, **reference, timeout=0.5).eval()
    with pytest.raises(RuntimeError, match=match):
        codec.compress(smooth_images(1, 8, 8))


def test_missing_program_is_named_and_no_fault_of_the_file(reference):
    reference.update(encoder='/none/EncoderApp', decoder='/none/DecoderApp')
    codec = HEVCIntra(30, **reference).eval()
    for use in (lambda: codec.compress(smooth_images(1, 8, 8)),
                lambda: codec.decode_file(b'stub', (8, 8)), codec.settings):
        with pytest.raises(
                RuntimeError, match='`/none/.* cannot be started: No such'):
            use()
