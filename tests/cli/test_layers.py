"""Layers on the command line: encode, cut, info, decode, join."""
import json

import pytest
import torch
from conftest import smooth_images, tiny_codec

from mmhmc import cli
from mmhmc.bitstream import Bitstream
from mmhmc.datasets import read_image, write_image


@pytest.fixture(scope='module')
def home(tmp_path_factory):
    """Folder with a codec, an image, and files of it in layers."""
    torch.manual_seed(0)
    home = tmp_path_factory.mktemp('layers')
    torch.save(
        tiny_codec('MeanScaleHyperprior').state_dict(), home / 'weights.pth')
    (home / 'config.py').write_text(
        "codec = dict(type='mmhmc.MeanScaleHyperprior', hidden_channels=8, "
        'latent_channels=8)')
    write_image(home / 'a.png', smooth_images(1, 40, 52)[0])
    for count in (2, 3):
        assert cli.main(
            with_codec(home, 'encode', home / 'a.png', '-o', home / str(count),
                       '--layers', count)) == 0
    return home


def with_codec(home, *arguments):
    return [
        *map(str, arguments), '--model',
        str(home / 'config.py'), '--checkpoint',
        str(home / 'weights.pth')
    ]


def run(*arguments):
    return cli.main([*map(str, arguments)])


def test_file_is_cut_decoded_and_joined(home, tmp_path, capsys):
    whole, base = home / '3/a.png.hmc', tmp_path / 'some/base.hmc'
    rest, again = tmp_path / 'rest.hmr', tmp_path / 'again.hmc'
    assert run('cut', whole, '-o', base, '--rest', rest) == 0
    stream = Bitstream.from_bytes(whole.read_bytes())
    sizes = stream.layer_bytes
    assert len(sizes) == 3 and base.stat().st_size == sizes[0]
    assert f'1 layer, {sizes[0]} bytes' in capsys.readouterr().out
    # The beginning of the file is the same.
    assert whole.read_bytes().startswith(base.read_bytes())
    assert run('join', base, rest, '-o', again) == 0
    assert again.read_bytes() == whole.read_bytes()
    assert '3 layers, ' in capsys.readouterr().out
    # Two ways to the same image, which a person would not take for the whole.
    for name, *given in (('cut', base), ('kept', whole, '--layers', 1),
                         ('all', whole)):
        assert run(*with_codec(home, 'decode', *given, '-o', tmp_path /
                               name)) == 0
    cut = read_image(tmp_path / 'cut/base.png')
    assert torch.equal(cut, read_image(tmp_path / 'kept/a.png'))
    assert not torch.equal(cut, read_image(tmp_path / 'all/a.png'))


def test_base_lies_beside_its_file_and_is_not_replaced(home, tmp_path,
                                                       capsys):
    data = (home / '3/a.png.hmc').read_bytes()
    whole, base = tmp_path / 'a.png.hmc', tmp_path / 'a.png.base.hmc'
    whole.write_bytes(data)
    stream = Bitstream.from_bytes(data)
    assert run('cut', whole, '--layers', 1) == 0
    assert base.read_bytes() == stream.keep_layers(1).to_bytes()
    assert f'{base}: 1 layer' in capsys.readouterr().out
    assert run('cut', whole, '--layers', 2) == 1
    assert f'{base} exists' in capsys.readouterr().err
    assert base.read_bytes() == stream.keep_layers(1).to_bytes()
    assert run('cut', whole, '--layers', 2, '--force') == 0
    assert base.read_bytes() == stream.keep_layers(2).to_bytes()
    assert whole.read_bytes() == data


def test_file_without_the_ending_is_cut_beside_itself(home, tmp_path):
    whole = tmp_path / 'a.bin'
    whole.write_bytes((home / '2/a.png.hmc').read_bytes())
    assert run('cut', whole) == 0
    assert (tmp_path / 'a.bin.base.hmc').is_file()


def test_cutting_what_ends_early_notes_it_in_one_line(home, tmp_path, capsys):
    whole, base = tmp_path / 'a.png.hmc', tmp_path / 'a.png.base.hmc'
    data = (home / '3/a.png.hmc').read_bytes()
    whole.write_bytes(data[:-3])
    assert run('cut', whole) == 0
    line, = capsys.readouterr().err.splitlines()
    assert line.startswith(f'mmhmc cut: {whole}: ')
    assert 'ends within stream' in line
    assert data.startswith(base.read_bytes())


def test_joining_to_what_ends_early_is_refused_without_a_trace(
        home, tmp_path, capsys):
    base, rest = tmp_path / 'base.hmc', tmp_path / 'rest.hmr'
    assert run('cut', home / '3/a.png.hmc', '--layers', 2, '-o', base,
               '--rest', rest) == 0
    base.write_bytes(base.read_bytes()[:-3])
    capsys.readouterr()
    assert run('join', base, rest, '-o', tmp_path / 'x') == 1
    lines = capsys.readouterr().err.splitlines()
    assert all(line.startswith('mmhmc join: ') for line in lines)
    assert f'{base}: ' in lines[0] and 'ends within stream' in lines[0]
    assert not (tmp_path / 'x').exists()


def test_all_layers_are_the_image_of_one_layer(home, tmp_path):
    assert run(*with_codec(home, 'encode', home /
                           'a.png', '-o', tmp_path)) == 0
    images = []
    for name, folder in (('one', tmp_path), ('two', home / '2')):
        assert run(*with_codec(home, 'decode', folder /
                               'a.png.hmc', '-o', tmp_path / name)) == 0
        images.append(read_image(tmp_path / name / 'a.png'))
    assert torch.equal(*images)


def test_info_shows_the_layers_with_their_bytes(home, tmp_path, capsys):
    whole = home / '2/a.png.hmc'
    assert run('info', whole) == 0
    stream = Bitstream.from_bytes(whole.read_bytes())
    first, second = stream.layer_bytes
    out = capsys.readouterr().out
    assert f'layers    2: {first} + {second} bytes' in out
    assert run('info', whole, '--json') == 0
    assert json.loads(capsys.readouterr().out)['layers'] == [first, second]
    # Cut within the enhancement.
    (tmp_path / 'a.hmc').write_bytes(whole.read_bytes()[:-3])
    assert run('info', tmp_path / 'a.hmc') == 1
    out, err = capsys.readouterr()
    assert 'cut off   y1' in out and "ends within stream 'y1'" in err


def test_file_cut_within_a_layer_decodes_with_a_notice(home, tmp_path, capsys):
    data = (home / '2/a.png.hmc').read_bytes()
    (tmp_path / 'a.png.hmc').write_bytes(data[:-3])
    arguments = with_codec(home, 'decode', tmp_path, '-o', tmp_path)
    assert run(*arguments) == 0
    assert "ends within stream 'y1'" in capsys.readouterr().err
    assert run(*with_codec(home, 'decode', home /
                           '2/a.png.hmc', '-o', tmp_path /
                           'base', '--layers', 1)) == 0
    assert torch.equal(
        read_image(tmp_path / 'a.png'), read_image(tmp_path / 'base/a.png'))


def test_what_was_coded_in_other_layers_is_not_kept(home, tmp_path, capsys):
    arguments = with_codec(home, 'encode', home / 'a.png', '-o', tmp_path)
    assert run(*arguments) == 0
    assert run(*arguments, '--layers', 2) == 1
    assert 'exists and' in capsys.readouterr().err
    assert run(*arguments, '--layers', 2, '--force') == 0
    assert run(*arguments, '--layers', 2) == 0
    assert '1 done before' in capsys.readouterr().out


@pytest.mark.parametrize('arguments, words', [
    (['cut', '3', '-o', 'x', '--layers', '4'], 'from 1 to 3'),
    (['cut', '3', '-o', 'x', '--layers', '3', '--rest', 'y'
      ], 'nothing to cut'),
    (['cut', 'no', '-o', 'x'], 'no/a.png.hmc'),
    (['cut', '2', '-o', 'a.png'], 'a.png exists'),
    (['join', '2', '3', '-o', 'x'], 'no file of layers'),
    (['decode', '2', '-o', 'x', '--layers', '3'], 'from 1 to 2'),
])
def test_what_cannot_be_is_one_line(home, tmp_path, capsys, monkeypatch,
                                    arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'a.png').write_bytes(b'')
    given = [
        str(home / one / 'a.png.hmc')
        if one in ('2', '3', 'no') and before != '--layers' else one
        for before, one in zip(['', *arguments], arguments)
    ]
    if given[0] == 'decode':
        given = with_codec(home, *given)
    assert run(*given) == 1
    line, = capsys.readouterr().err.splitlines()
    assert line.startswith(f'mmhmc {arguments[0]}: ') and words in line
    assert not (tmp_path / 'x').is_file()


def test_layers_of_another_file_are_refused(home, tmp_path, capsys):
    parts = []
    for count in (2, 3):
        base, rest = tmp_path / f'{count}.hmc', tmp_path / f'{count}.hmr'
        run('cut', home / str(count) / 'a.png.hmc', '-o', base, '--rest', rest)
        parts.append((base, rest))
    assert run('join', parts[0][0], parts[1][1], '-o', tmp_path / 'x') == 1
    assert 'are of another file' in capsys.readouterr().err


def test_codec_without_layers_is_refused(home, tmp_path, capsys):
    (tmp_path / 'c.py').write_text(
        "codec = dict(type='mmhmc.FactorizedPrior', hidden_channels=8, "
        'latent_channels=8)')
    torch.save(tiny_codec('FactorizedPrior').state_dict(), tmp_path / 'w.pth')
    assert run('encode', home / 'a.png', '-o', tmp_path, '--model',
               tmp_path / 'c.py', '--checkpoint', tmp_path / 'w.pth',
               '--layers', 2) == 1
    assert 'cannot code its latent in layers' in capsys.readouterr().err
