import ast
import errno
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
CONFIG = "codec = dict(type='mmhmc.MeanScaleHyperprior', " \
    'hidden_channels=8, latent_channels=8)\n'


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


def imported_first(path):
    """What a file imports before anything is called."""
    imported = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            imported.add(node.module)
    return imported


def test_modules_import_only_the_standard_library_and_the_version():
    light = {
        '__future__', 'argparse', 'collections.abc', 'contextlib',
        'dataclasses', 'json', 'mmhmc.cli', 'mmhmc.version', 'os', 'pathlib',
        're', 'shlex', 'shutil', 'subprocess', 'sys', 'typing', 'warnings'
    }
    paths = [*Path(cli.__file__).parent.glob('*.py'), Path(doctor.__file__)]
    heavy = {path.name: imported_first(path) - light for path in paths}
    heavy = {name: modules for name, modules in heavy.items() if modules}
    assert not heavy, heavy


# Coding.


@pytest.fixture(scope='module')
def home(tmp_path_factory):
    """Folder with weights, a config and an image."""
    torch.manual_seed(0)
    home = tmp_path_factory.mktemp('cli')
    torch.save(
        tiny_codec('MeanScaleHyperprior').state_dict(), home / 'weights.pth')
    (home / 'config.py').write_text(CONFIG)
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
    assert 'image     40 x 52, coded as 64 x 64' in capsys.readouterr().out


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


def test_dry_run_says_what_would_be_done_and_writes_nothing(
        home, tmp_path, capsys):
    out = tmp_path / 'out'
    assert cli.main(
        with_codec(home, 'encode', home / 'a.png', '-o', out,
                   '--dry-run')) == 0
    assert capsys.readouterr().out.splitlines() == [
        f'mmhmc.MeanScaleHyperprior, weights {home / "weights.pth"}',
        f'{home / "a.png"} (52 x 40) -> {out / "a.png.hmc"}'
    ]
    assert not out.exists()


def test_name_of_a_model_is_all_that_coding_needs(home, zoo, tmp_path, capsys):
    model = ['--model', 'tiny', '-o', str(tmp_path)]
    assert cli.main(['encode', str(home / 'a.png'), *model]) == 0
    assert cli.main(['decode', str(tmp_path / 'a.png.hmc'), *model]) == 0
    assert read_image(tmp_path / 'a.png').shape == (3, 40, 52)
    assert cli.main(['info', str(tmp_path)]) == 0
    assert 'coded as 64 x 64' in capsys.readouterr().out


def test_full_disk_is_one_line_and_leaves_whole_files(home, tmp_path, capsys,
                                                      monkeypatch):
    images, out = tmp_path / 'images', tmp_path / 'out'
    images.mkdir()
    for name in 'abc':
        (images / f'{name}.png').symlink_to(home / 'a.png')
    write = Path.write_bytes

    def write_two(path, data):
        if len([*out.glob('*.hmc')]) == 2:
            path.touch()
            raise OSError(errno.ENOSPC, 'No space left on device')
        return write(path, data)

    monkeypatch.setattr(Path, 'write_bytes', write_two)
    assert cli.main(with_codec(home, 'encode', images, '-o', out)) == 1
    line, = capsys.readouterr().err.splitlines()
    assert 'No space left on device' in line and 'c.png.hmc' in line
    assert {path.name
            for path in out.iterdir()
            } == {'a.png.hmc', 'b.png.hmc', 'encode.jsonl'}
    monkeypatch.undo()
    assert cli.main(with_codec(home, 'encode', images, '-o', out)) == 0
    assert '1 coded, 2 done before' in capsys.readouterr().out


@pytest.mark.parametrize('arguments, words', [
    (['--model', 'tini'], 'near it are tiny'),
    (['--model', 'untrained'], 'There are no weights'),
    (['--model', 'tiny', '--checkpoint', 'no'], "The model zoo has no 'no'"),
    (['--model', 'mmnowhere::a.py'], 'needs mmnowhere, which is not inst'),
    (['--model', 'tiny', '-o', 'a.png/out'], 'Not a directory'),
    (['--model', 'tiny', '--quality', '3'], 'quality'),
])
def test_mistakes_are_one_line_and_write_nothing(home, zoo, tmp_path, capsys,
                                                 monkeypatch, arguments,
                                                 words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'a.png').symlink_to(home / 'a.png')
    before = sorted(tmp_path.rglob('*'))
    config = zoo.root / 'configs/hmc/untrained.py'
    config.write_text(CONFIG)
    assert cli.main(['encode', 'a.png', '-o', 'out', *arguments]) == 1
    line, = capsys.readouterr().err.splitlines()
    assert line.startswith('mmhmc encode: ') and words in line
    assert sorted(tmp_path.rglob('*')) == before


@pytest.mark.parametrize('command', ['encode', 'decode', 'info'])
def test_folder_without_files_of_the_kind_is_one_line(zoo, tmp_path, capsys,
                                                      command):
    empty, out = tmp_path / 'empty', tmp_path / 'out'
    empty.mkdir()
    model = ['--model', 'tiny', '-o', str(out)] * (command != 'info')
    assert cli.main([command, str(empty), *model]) == 1
    line, = capsys.readouterr().err.splitlines()
    assert 'holds no file that ends in' in line and not out.exists()


@pytest.mark.parametrize('arguments, words', [
    (['train'], 'one of the arguments config --model is required'),
    (['train', 'a.py', '--model', 'b'], 'not allowed with argument'),
    (['test', 'a.py', 'b.pth', '-o', 'x.json'], '--output must end in .pkl'),
    (['export', 'publish', 'a.pth'], 'give the file to write once'),
    (['export', 'host', 'a', 'b.safetensors', '-o', 'c.safetensors'
      ], 'give the file to write once'),
    (['zoo'], 'required: COMMAND'),
])
def test_options_that_contradict_each_other_end_with_status_2(
        capsys, arguments, words):
    with pytest.raises(SystemExit, match='2'):
        cli.main(arguments)
    assert words in capsys.readouterr().err


def test_package_that_is_missing_is_told_with_its_cure(home, capsys,
                                                       monkeypatch):
    error = ModuleNotFoundError("No module named 'torch.nn'", name='torch.nn')

    def run(args):
        raise error

    run.__name__ = '_encode'
    monkeypatch.setattr(cli.coding, '_encode', run)
    assert cli.main(with_codec(home, 'encode', 'a.png')) == 1
    assert capsys.readouterr().err == (
        'mmhmc encode: this needs torch, which is not installed. `mmhmc '
        'doctor` says how to get it.\n')


@pytest.mark.parametrize('former, today', [
    (['download', '--list'], 'mmhmc zoo list'),
    (['export', '--from', 'mpa', 'no.pth', '-o', 'a.safetensors'
      ], 'mmhmc export authors --from'),
    (['encode', 'a.png', '--codec', 'no.py'], '`--model`'),
])
def test_former_commands_work_and_warn(zoo, tmp_path, capsys, monkeypatch,
                                       former, today):
    monkeypatch.chdir(tmp_path)
    status = cli.main(former)
    err = capsys.readouterr().err
    assert f'is called {today}' in err or f'is called `{today}' in err
    assert status == (former[0] != 'download')
    assert 'Traceback' not in err


def test_output_that_nobody_reads_is_no_error():
    result = subprocess.run(
        f'{sys.executable} -m mmhmc zoo list | head -1',
        shell=True,
        cwd=ROOT,
        capture_output=True,
        text=True)
    assert result.stdout and not result.stderr


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
