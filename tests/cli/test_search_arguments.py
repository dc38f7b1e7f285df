"""``mmhmc encode --refine ... --target-...``: what is asked, what refused."""
import json

import pytest
import torch
from conftest import smooth_images, tiny_codec

from mmhmc.cli import main
from mmhmc.datasets import write_image

MANY = 'DCVCUFIntra'
CONFIG = ("codec = dict(type='mmhmc.{}', hidden_channels=8, "
          'latent_channels=8{})\n')


@pytest.fixture(scope='module')
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp('search')
    for name, more in (('MeanScaleHyperprior', {}), ('DCVCUFIntra',
                                                     dict(hyper_channels=8))):
        torch.save(tiny_codec(name).state_dict(), home / f'{name}.pth')
        text = ''.join(f', {k}={v}' for k, v in more.items())
        if name == 'DCVCUFIntra':
            text += ', num_qualities=3'
        (home / f'{name}.py').write_text(CONFIG.format(name, text))
    write_image(home / 'a.png', smooth_images(1, 64, 96)[0])
    return home


def encode(home, out, *args, codec='MeanScaleHyperprior'):
    return main([
        'encode',
        str(home / 'a.png'), '-o',
        str(out), '--model',
        str(home / f'{codec}.py'), '--checkpoint',
        str(home / f'{codec}.pth'), '--device', 'cpu', *args
    ])


def row_of(folder):
    line, = (folder / 'encode.jsonl').read_text().splitlines()
    return json.loads(line)


def test_a_search_is_in_the_log_and_in_the_report(home, tmp_path, capsys):
    assert encode(home, tmp_path, '--refine', '3', '--lmbda', '0.01') == 0
    found = row_of(tmp_path)['refined']
    assert found['steps'] == 3 and found['lmbda'] == 0.01
    assert found['after'] <= found['before']
    assert 'refined' in capsys.readouterr().out


@pytest.mark.parametrize('more', [['--sketch'],
                                  ['--layers', '2', '--for-layers', '1']])
def test_a_model_is_asked_once_or_for_the_base(home, tmp_path, more):
    search = ('--refine', '3', '--lmbda', '0.01', '--for', 'machines')
    assert encode(home, tmp_path / 'a', *search, *more) == 0
    found = row_of(tmp_path / 'a')
    assert found['refined']['steps'] == 3
    # Under other settings it is another search.
    assert encode(home, tmp_path / 'a', *search) == 1


def test_layers_that_are_not_there_are_refused(home, tmp_path, capsys):
    assert encode(home, tmp_path, '--refine', '3', '--lmbda', '0.01', '--for',
                  'machines', '--for-layers', '2') == 1
    assert 'The readers see 2 layers' in capsys.readouterr().err


def test_a_target_is_reached(home, tmp_path, capsys):
    assert encode(home, tmp_path / 'a', '--quality', '2', codec=MANY) \
        == 0
    wanted = row_of(tmp_path / 'a')['num_bytes']
    args = ('--target-bytes', str(wanted), '--at-most')
    assert encode(home, tmp_path / 'b', *args, codec='DCVCUFIntra') == 0
    row = row_of(tmp_path / 'b')
    assert 0.98 * wanted <= row['num_bytes'] <= wanted
    assert 'target' in capsys.readouterr().out
    # It goes on where it was.
    assert encode(home, tmp_path / 'b', *args, codec='DCVCUFIntra') == 0
    assert '1 done before' in capsys.readouterr().out


def test_what_cannot_be_reached_writes_nothing(home, tmp_path, capsys):
    assert encode(
        home, tmp_path, '--target-bpp', '30', codec='DCVCUFIntra') == 1
    assert 'the nearest is' in capsys.readouterr().err
    assert not list(tmp_path.glob('*.hmc'))


@pytest.mark.parametrize('dry', [[], ['--dry-run']])
@pytest.mark.parametrize('args, message', [
    (['--map', 'a.png'], '--map belongs to a search'),
    (['--max-psnr-loss', '0'], '--max-psnr-loss belongs to a search'),
    (['--for', 'machines'], '--for belongs to a search'),
    (['--refine', '3', '--task-weight', '.5'], '--task-weight belongs to'),
    (['--refine', '3', '--for-layers', '1'], '--for-layers belongs to'),
    (['--refine', '3', '--sketch'], '--sketch is a map of one model'),
    (['--refine', '3', '--for', 'a', '--sketch', '--map', 'b.png'
      ], '--sketch is a map of one model'),
    (['--refine', '3', '--for', 'a', '--for', 'b', '--for-checkpoint', 'c'
      ], 'there are 2 --for and 1 --for-checkpoint'),
    (['--at-most'], '--at-most belongs to a target'),
    (['--quality', '1', '--target-bpp', '1'], 'exclude each other'),
    (['--target-bytes', '1', '--target-bpp', '1'], 'not allowed with'),
])
def test_what_would_change_nothing_is_refused(home, tmp_path, capsys, args,
                                              message, dry):
    with pytest.raises(SystemExit) as ended:
        encode(home, tmp_path, *args, *dry)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize('dry', [[], ['--dry-run']])
@pytest.mark.parametrize('args, message', [
    (['--refine', '0'], '`steps` must be a positive integer'),
    (['--refine', '3', '--task-weight', '2', '--for', 'machines'
      ], '`task_weight` must be in [0, 1]'),
    (['--refine', '3', '--for', 'nobody'], 'nobody'),
    (['--target-bpp', '-1'], '`bpp` must be positive'),
    (['--target-bpp', '0.2'], 'has one rate'),
    (['--refine', '3', '--max-psnr-loss', '1', '--target-bpp', '0.2'
      ], '(`--max-psnr-loss`) and a target exclude each other'),
    (['--refine', '3', '--map', 'none.png'], 'no map of'),
    (['--quality', '2'], 'no run-time controls'),
    (['--checkpoint', 'none.pth'], 'none.pth'),
    (['--checkpoint', 'mmhmc://nobody'], "no 'nobody'"),
    (['--device', 'cuda:99'], 'The device is cuda:99'),
])
def test_values_that_make_no_sense_end_in_one_line(home, tmp_path, capsys,
                                                   args, message, dry):
    assert encode(home, tmp_path / 'out', *args, *dry) == 1
    out, error = capsys.readouterr()
    assert message in error
    assert not dry or 'a.png' not in out
    assert not list(tmp_path.rglob('*.hmc'))


def test_a_dry_run_refuses_layers_that_the_codec_cannot_write(
        home, tmp_path, capsys):
    (tmp_path / 'c.py').write_text(CONFIG.format('FactorizedPrior', ''))
    args = [
        'encode',
        str(home / 'a.png'), '--model',
        str(tmp_path / 'c.py'), '--dry-run'
    ]
    assert main(args) == 0
    assert main([*args, '--layers', '1']) == 0
    capsys.readouterr()
    assert main([*args, '--layers', '2']) == 1
    out, error = capsys.readouterr()
    assert 'cannot code its latent in layers' in error and not out


def test_a_dry_run_takes_what_a_run_takes(home, tmp_path, capsys):
    assert encode(home, tmp_path, '--refine', '3', '--layers', '2',
                  '--target-bpp', '0.2', '--dry-run') == 0
    assert encode(home, tmp_path, '--quality', '2', '--dry-run',
                  codec=MANY) == 0
    assert capsys.readouterr().out.count('a.png.hmc') == 2
    assert not [*tmp_path.iterdir()]
