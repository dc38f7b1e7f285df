import ast
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from conftest import smooth_images, tiny_codec

from mmhmc import cli
from mmhmc.apis import doctor
from mmhmc.datasets import read_image, write_image
from mmhmc.version import __version__

ROOT = Path(__file__).parents[2]


def nothing_installed(python: str = 'python') -> doctor.Environment:
    error = "ModuleNotFoundError: No module named '{}'"
    names = ('installed', 'requires', 'versions')
    return doctor.Environment(
        python, dict(metadata={name: {}
                               for name in names}),
        {name: error.format(name)
         for name in doctor.EXAMINED[1:]})


def test_doctor_prints_json_and_fails_when_something_is_missing(
        monkeypatch, capsys):
    monkeypatch.setattr(doctor, 'survey', nothing_installed)
    assert cli.main(['doctor', '--json']) == 1
    document = json.loads(capsys.readouterr().out)
    assert not document['ok']
    assert {'torch', 'mmengine', 'mmhmc'} <= {
        row['name']
        for row in document['rows'] if row['state'] == doctor.MISSING
    }


def test_doctor_prints_one_command_on_one_line(monkeypatch, capsys):
    monkeypatch.setattr(doctor, 'survey', nothing_installed)
    assert cli.main(['doctor']) == 1
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    env = nothing_installed()
    wrong = [
        row for row in doctor.diagnose(env)
        if row.state in (doctor.MISSING, doctor.MISFIT)
    ]
    assert doctor.command(env, wrong) in lines


def test_version_option_prints_the_version_of_the_package(capsys):
    with pytest.raises(SystemExit, match='0'):
        cli.main(['--version'])
    assert capsys.readouterr().out.strip() == __version__


def test_unknown_command_is_refused_with_the_known_ones(capsys):
    with pytest.raises(SystemExit, match='2'):
        cli.main(['docter'])
    assert 'choose from' in capsys.readouterr().err


@pytest.mark.parametrize(
    'path', [*Path(cli.__file__).parent.glob('*.py'),
             Path(doctor.__file__)],
    ids=lambda path: path.name)
def test_module_imports_only_the_standard_library_and_the_version(path):
    imported = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            imported.add(node.module)
    assert imported <= {
        '__future__', 'argparse', 'collections.abc', 'dataclasses', 'json',
        'mmhmc.cli', 'mmhmc.version', 'os', 'pathlib', 're', 'shlex', 'shutil',
        'subprocess', 'sys', 'typing'
    }


# Coding.


@pytest.fixture(scope='module')
def home(tmp_path_factory):
    """Folder with weights, a config and an image."""
    torch.manual_seed(0)
    home = tmp_path_factory.mktemp('cli')
    torch.save(
        tiny_codec('MeanScaleHyperprior').state_dict(), home / 'weights.pth')
    (home / 'config.py').write_text(
        "codec = dict(type='mmhmc.MeanScaleHyperprior', hidden_channels=8, "
        'latent_channels=8)')
    write_image(home / 'a.png', smooth_images(1, 40, 52)[0])
    return home


def with_codec(home, *arguments):
    return [
        *map(str, arguments), '--model',
        str(home / 'config.py'), '--checkpoint',
        str(home / 'weights.pth')
    ]


def test_image_goes_to_a_stream_and_back(home, tmp_path, capsys):
    streams, images = tmp_path / 'streams', tmp_path / 'images'
    assert cli.main(
        with_codec(home, 'encode', home / 'a.png', '-o', streams,
                   '--psnr')) == 0
    out = capsys.readouterr().out
    assert '1: 1 coded' in out and 'PSNR' in out
    assert cli.main(with_codec(home, 'decode', streams, '-o', images)) == 0
    assert read_image(images / 'a.png').shape == (3, 40, 52)
    assert cli.main(['info', str(streams / 'a.png.hmc')]) == 0
    assert 'image   40 x 52, coded as 64 x 64' in capsys.readouterr().out


def test_one_bad_image_is_one_line_and_status_1(home, tmp_path, capsys):
    arguments = with_codec(home, 'encode', 'no.png', home / 'a.png', '-o',
                           tmp_path)
    for _ in range(2):
        assert cli.main(arguments) == 1
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1 and 'no.png' in lines[0]
        assert lines[0].startswith('mmhmc encode: ')
    assert (tmp_path / 'a.png.hmc').exists()


def test_force_replaces_what_is_there(home, tmp_path, capsys):
    (tmp_path / 'a.png.hmc').write_bytes(b'other')
    arguments = with_codec(home, 'encode', home / 'a.png', '-o', tmp_path)
    assert cli.main(arguments) == 1
    assert '--force' in capsys.readouterr().err
    assert cli.main([*arguments, '--force']) == 0


def test_options_of_the_config_are_overridden(home, tmp_path, capsys):
    arguments = with_codec(home, 'encode', home / 'a.png', '-o', tmp_path)
    assert cli.main([*arguments, '--cfg-options',
                     'codec.hidden_channels=16']) == 1
    assert 'size mismatch' in capsys.readouterr().err
    assert cli.main([*arguments, '--cfg-options',
                     'codec.hidden_channels=8']) == 0


@pytest.mark.parametrize('command', ['encode', 'decode'])
@pytest.mark.parametrize('arguments, words', [
    (['--model', 'nothing.py'], 'nothing.py'),
    (['--checkpoint', 'nothing.pth'], 'nothing.pth'),
])
def test_codec_that_cannot_be_loaded_is_one_line(home, tmp_path, capsys,
                                                 command, arguments, words):
    base = with_codec(home, command, home / 'a.png', '-o',
                      tmp_path / 'x.safetensors')
    assert cli.main([*base, *arguments]) == 1
    line, = capsys.readouterr().err.splitlines()
    assert line.startswith(f'mmhmc {command}: ') and words in line


@pytest.mark.parametrize('arguments, words', [
    (['encode', 'a.png'], '--model is required'),
    (['decode', '-o', 'd', '--model', 'c.py'], 'required: FILE'),
    (['encode', 'a', '-o', 'd', '--model', 'c.py', '--cfg-options', 'codec'
      ], "--cfg-options takes KEY=VALUE, got 'codec'"),
    (['encode', 'a', '--jobs', '0'], "1 or more, got '0'"),
    (['encode', 'a', '--jobs', 'two'], "1 or more, got 'two'"),
    ([], 'required: COMMAND'),
])
def test_wrong_arguments_end_with_status_2(capsys, arguments, words):
    with pytest.raises(SystemExit, match='2'):
        cli.main(arguments)
    assert words in capsys.readouterr().err


def test_info_shows_good_files_beside_bad_ones(home, tmp_path, capsys):
    cli.main(with_codec(home, 'encode', home / 'a.png', '-o', tmp_path))
    good = str(tmp_path / 'a.png.hmc')
    capsys.readouterr()
    bad = str(home / 'a.png')
    assert cli.main(['info', 'no.hmc', good, bad, good, '--json']) == 1
    out, err = capsys.readouterr()
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row['file'] for row in rows] == [good, good]
    first, second = err.splitlines()
    assert first.startswith('mmhmc info: no.hmc: ')
    assert second.startswith(f'mmhmc info: {bad}: This is no mmhmc bitstream')


def test_help_loads_next_to_nothing():
    result = subprocess.run([
        sys.executable, '-X', 'importtime', '-m', 'mmhmc.cli', 'encode',
        '--help'
    ],
                            capture_output=True,
                            text=True,
                            cwd=ROOT)
    assert result.returncode == 0 and '--jobs' in result.stdout
    loaded = {
        line.rpartition('|')[2].strip()
        for line in result.stderr.splitlines()
    }
    assert 'mmhmc.version' in loaded
    assert not loaded & {'torch', 'compressai', 'cv2', 'PIL.Image'}


def test_interrupt_is_one_line_and_keeps_what_is_done(home, tmp_path):
    images, out = tmp_path / 'images', tmp_path / 'out'
    images.mkdir()
    write_image(tmp_path / 'x.png', smooth_images(1, 256, 256)[0])
    for number in range(2000):
        (images / f'{number:04}.png').symlink_to(tmp_path / 'x.png')
    # What a shell runs in the background ignores interrupts, and what that
    # runs too, unless there is a handler.
    old = signal.signal(signal.SIGINT, signal.default_int_handler)
    command = subprocess.Popen([
        sys.executable, '-m', 'mmhmc.cli',
        *with_codec(home, 'encode', images, '-o', out, '--jobs', '2')
    ],
                               cwd=ROOT,
                               stderr=subprocess.PIPE,
                               text=True,
                               env={
                                   **os.environ, 'OMP_NUM_THREADS': '1'
                               },
                               start_new_session=True)
    signal.signal(signal.SIGINT, old)
    log = out / 'encode.jsonl'
    while not log.exists() and command.poll() is None:
        time.sleep(0.05)
    # As a terminal does.
    os.killpg(command.pid, signal.SIGINT)
    err = command.communicate(timeout=60)[1]
    assert command.returncode == 130
    # A slow machine also gets lines of progress.
    assert err.splitlines()[-1] == (
        'mmhmc encode: stopped. What is finished stays; the same command goes '
        'on from there.')
    done = sorted(path.name for path in out.glob('*.hmc'))
    assert 0 < len(done) < 2000
    logged = log.read_text().splitlines()
    assert {json.loads(line)['output'] for line in logged} <= {*done}
