"""What `make setup` and `pip install` do, without installing anything."""
import importlib.util
import os
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from setuptools.config.setupcfg import read_configuration

from mmhmc.version import __version__

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / 'requirements').glob('*.txt'))

# Stands in for python: writes down what it is asked to do, fails when asked
# for what $FAIL_ON names, has a working mmcv once it is installed, and Python
# 3.11.
FAKE_PYTHON = '''#!/usr/bin/env bash
echo "$*" >>"$CALLS"
case "$*" in
    *"${FAIL_ON:-no such call}"*)
        while [ -n "${SLOW:-}" ] && [ ! -e slow ]; do sleep 0.01; done
        exit 1 ;;
    "-m venv"*) mkdir -p "${*: -1}/bin"; cp "$0" "${*: -1}/bin/python" ;;
    "-c import sys; print"*) echo "${VERSION:-3.11}" ;;
    dev/mmcv_wheel.py*)
        [ -z "${SLOW:-}" ] || { echo $$ >slow; sleep 60 >/dev/null 2>&1; }
        mkdir -p "$3" ;;
    *"--find-links "*mmcv_wheel*) touch installed ;;
    "-W ignore -"*) [ -e installed ] ;;
esac
'''


def requirements(file: Path) -> list[Requirement]:
    lines = file.read_text().splitlines()
    return [Requirement(line) for line in lines if line[0] != '#']


def load_setup():
    spec = importlib.util.spec_from_file_location('setup', ROOT / 'setup.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout with a fake python; returns a function that sets it up."""
    project = tmp_path / 'project'
    shutil.copytree(ROOT / 'requirements', project / 'requirements')
    for name in ('tools/setup_env.sh', 'setup.py', 'setup.cfg',
                 'mmhmc/version.py', 'mmhmc/bitstream/rans.cpp',
                 'model-index.yml'):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, project / name)
    python = tmp_path / 'python'
    python.write_text(FAKE_PYTHON)
    python.chmod(0o755)
    calls = tmp_path / 'calls'
    monkeypatch.setenv('CALLS', str(calls))
    monkeypatch.setenv('PYTHON', str(python))
    monkeypatch.setenv('WHEELS', str(tmp_path / 'wheels'))

    def setup(*lineage: str, status: int = 0) -> list[str]:
        calls.write_text('')
        process = subprocess.run([project / 'tools/setup_env.sh', *lineage],
                                 capture_output=True,
                                 text=True)
        assert process.returncode == status, process.stderr
        setup.stderr = process.stderr
        return calls.read_text().splitlines()

    setup.project = project
    return setup


def installs(calls: list[str]) -> list[str]:
    return [call for call in calls if '-m pip install' in call]


def test_installing_mmhmc_leaves_openmmlab_as_it_is(monkeypatch):
    monkeypatch.chdir(ROOT)
    configuration = read_configuration('setup.cfg')
    required = map(Requirement, configuration['options']['install_requires'])
    assert {(r.name, str(r.specifier))
            for r in required
            } == {(name, '')
                  for name in ('filelock', 'numpy', 'pillow', 'pyyaml', 'rich',
                               'safetensors')}
    assert configuration['metadata']['version'] == __version__
    extras = configuration['options']['extras_require']
    assert set(extras) == {
        'codecs', 'sample', 'evaluation', 'standard', 'perceptual', 'training',
        'hub', 'imagenet', 'docs', 'all', 'tests'
    }
    for extra in ('codecs', 'sample', 'evaluation', 'standard', 'perceptual',
                  'training', 'hub', 'imagenet'):
        assert set(extras[extra]) <= set(extras['all'])
    for extra in extras.values():
        assert not [line for line in extra if '==' in line.split(';')[0]]
    assert 'requires' not in (ROOT / 'setup.py').read_text()


def test_metadata_has_the_readme_and_the_notices(monkeypatch):
    monkeypatch.chdir(ROOT)
    metadata = read_configuration('setup.cfg')['metadata']
    assert metadata['long_description'] == (ROOT / 'README.md').read_text()
    assert metadata['license_files'] == ['LICENSE', 'NOTICE']
    assert all((ROOT / name).is_file() for name in metadata['license_files'])


def test_requirements_parse(subtests):
    for file in FILES:
        with subtests.test(file.name):
            assert requirements(file)


def test_mim_extension_links_what_there_is(tmp_path, monkeypatch):
    setup = load_setup()
    monkeypatch.setattr(setup, 'ROOT', tmp_path)
    for name in ('mmhmc', 'configs/hmc', 'tools'):
        (tmp_path / name).mkdir(parents=True)
    mim = tmp_path / 'mmhmc' / '.mim'
    setup.add_mim_extension()
    assert (mim / 'configs' / 'hmc').is_dir()
    assert not (mim / 'model-index.yml').exists()
    (tmp_path / 'model-index.yml').write_text('Import: []')
    setup.add_mim_extension()
    assert (mim / 'model-index.yml').read_text() == 'Import: []'
    assert all(file.is_symlink() for file in mim.iterdir())


def test_package_carries_the_weights_of_the_demo(tmp_path, monkeypatch):
    from mmhmc.apis.demo import DEFAULT_MODEL
    from mmhmc.apis.zoo import fetch_weights, load_config
    setup = load_setup()
    pytest.importorskip('mmdet')
    config = load_config(DEFAULT_MODEL)
    codec = config.model.backbone.codec.init_cfg.checkpoint
    parts = [one.removeprefix('mmhmc://') for one in (codec, config.load_from)]
    assert set(setup.PACKAGED) == {DEFAULT_MODEL, *parts}
    # As a wheel holds them.
    sizes = [
        len(zlib.compress(fetch_weights(name).read_bytes()))
        for name in setup.PACKAGED
    ]
    assert sum(sizes) < 9_000_000
    monkeypatch.setattr(setup, 'ROOT', tmp_path)
    (tmp_path / 'model_zoo').mkdir()
    for name in setup.PACKAGED:
        (tmp_path / f'model_zoo/{name}.safetensors').write_text(name)
    setup.add_mim_extension()
    for name in setup.PACKAGED:
        file = tmp_path / f'mmhmc/.mim/model_zoo/{name}.safetensors'
        assert file.read_text() == name


def test_mim_extension_copies_afresh_where_links_are_impossible(
        tmp_path, monkeypatch):

    def refuse(*_):
        raise OSError('no right to make links')

    setup = load_setup()
    monkeypatch.setattr(setup, 'ROOT', tmp_path)
    monkeypatch.setattr(setup.Path, 'symlink_to', refuse)
    (tmp_path / 'mmhmc').mkdir()
    (tmp_path / 'configs').mkdir()
    for name in ('old.py', 'new.py'):
        (tmp_path / 'configs' / name).write_text('')
        setup.add_mim_extension()
        (tmp_path / 'configs' / name).unlink()
    copied = [
        file.name for file in (tmp_path / 'mmhmc/.mim/configs').iterdir()
    ]
    assert copied == ['new.py']


def test_coder_is_compiled_if_it_can_be(monkeypatch):
    pytest.importorskip('pybind11')
    extension, = load_setup().extensions()
    assert extension.name == 'mmhmc.bitstream._rans'
    assert all((ROOT / source).is_file() for source in extension.sources)
    # A compiler that fails is no failure of the installation.
    assert extension.optional
    monkeypatch.setitem(sys.modules, 'pybind11.setup_helpers', None)
    assert load_setup().extensions() == []


@pytest.mark.parametrize('script', ['tools/setup_env.sh', '.ci/run'])
def test_shell_script_parses(script):
    subprocess.run(['bash', '-n', ROOT / script], check=True)


@pytest.mark.skipif(not shutil.which('make'), reason='make is not installed')
def test_make_knows_its_targets(subtests):
    for target in ('help', 'setup', 'demo', 'train', 'test', 'setup-upstream',
                   'test-upstream', 'doctor', 'clean'):
        with subtests.test(target):
            subprocess.run(['make', '-n', '-C', ROOT, target],
                           stdout=subprocess.DEVNULL,
                           check=True)


def test_setup_installs_torch_first_and_the_project_last(checkout):
    calls = checkout()
    torch, packages, mmcv, mmhmc = installs(calls)
    assert '-r requirements/torch.txt' in torch
    assert '-r requirements/codecs.txt' in packages
    # The project itself comes without them, at the end.
    assert '-r requirements/runtime.txt' in packages
    # Else pip fetches another torch to build compressai with.
    assert '--no-build-isolation' in packages
    assert ' --no-index ' in mmcv and ' onedl-mmcv==' in mmcv
    assert '--no-deps --no-build-isolation' in mmhmc
    assert mmhmc.endswith('-e .')
    # It is compiled with torch, while the other packages are installed.
    wheel, = (n for n, call in enumerate(calls) if 'mmcv_wheel.py' in call)
    assert calls.index(torch) < wheel < calls.index(mmcv)


def test_setup_asks_nothing_when_nothing_changed(checkout, monkeypatch):
    checkout()
    monkeypatch.delenv('PYTHON')
    assert checkout() == []


def test_setup_continues_where_it_was_interrupted(checkout, monkeypatch):
    monkeypatch.setenv('FAIL_ON', 'codecs.txt')
    checkout(status=1)
    assert 'setup stopped in step 2/4 OpenMMLab' in checkout.stderr
    monkeypatch.delenv('FAIL_ON')
    calls = installs(checkout())
    assert 'codecs.txt' in calls[0]
    assert calls[-1].endswith('-e .')


def test_setup_that_fails_leaves_no_build_behind(checkout, monkeypatch):
    monkeypatch.setenv('FAIL_ON', 'codecs.txt')
    monkeypatch.setenv('SLOW', 'yes')
    checkout(status=1)
    builder = int((checkout.project / 'slow').read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(builder, 0)


def test_setup_says_when_mmcv_could_not_be_built(checkout, monkeypatch):
    monkeypatch.setenv('FAIL_ON', 'mmcv_wheel.py')
    calls = checkout(status=1)
    assert 'setup stopped in step 3/4 mmcv' in checkout.stderr
    assert not any(call.endswith('-e .') for call in calls)


def test_setup_says_when_mmcv_does_not_load(checkout, monkeypatch):
    monkeypatch.setenv('FAIL_ON', '-W ignore - ')
    checkout(status=1)
    assert '`import mmcv._ext` does not work' in checkout.stderr
    # It would be installed again.
    assert not (checkout.project / '.venv/.setup/mmcv_wheel').exists()


def test_setup_completes_a_half_made_environment(checkout, monkeypatch):
    monkeypatch.setenv('FAIL_ON', '-m venv')
    (checkout.project / '.venv').mkdir()
    checkout(status=1)
    monkeypatch.delenv('FAIL_ON')
    assert '-m venv --clear .venv' in '\n'.join(checkout())


def test_setup_keeps_to_the_python_that_was_asked_for(checkout, monkeypatch,
                                                      tmp_path):
    checkout()
    other = tmp_path / 'python3.12'
    other.write_text('echo 3.12')
    other.chmod(0o755)
    monkeypatch.setenv('PYTHON', str(other))
    checkout(status=1)
    assert f'.venv has Python 3.11, and PYTHON={other} is 3.12. Remove' in (
        checkout.stderr)
    monkeypatch.setenv('PYTHON', str(tmp_path / 'nothing'))
    checkout(status=1)
    assert 'nothing does not run' in checkout.stderr


def test_setup_repeats_only_what_a_changed_file_touches(checkout):
    checkout()
    with open(checkout.project / 'requirements/tests.txt', 'a') as file:
        file.write('pytest-timeout\n')
    calls = installs(checkout())
    assert len(calls) == 1
    assert 'requirements/tests.txt' in calls[0]


def test_setup_compiles_a_changed_coder(checkout):
    checkout()
    with open(checkout.project / 'mmhmc/bitstream/rans.cpp', 'a') as file:
        file.write('// another\n')
    call, = installs(checkout())
    assert call.endswith('-e .')


def test_setup_keeps_an_mmcv_that_works(checkout):
    (checkout.project / 'installed').touch()
    assert 'mmcv_wheel' not in '\n'.join(checkout())


def test_setup_hands_over_the_folder_of_ready_made_wheels(checkout, tmp_path):
    call, = (call for call in checkout() if 'mmcv_wheel.py' in call)
    assert call.endswith(f' .venv/.setup/mmcv_wheel {tmp_path / "wheels"}')


def test_upstream_gets_its_own_environment_and_packages(checkout, monkeypatch):
    calls = checkout('upstream')
    assert '-m venv --clear .venv-upstream' in '\n'.join(calls)
    hosts = checkout.project / '.venv-upstream/.setup/hosts.txt'
    names = {requirement.name for requirement in requirements(hosts)}
    assert {'torch', 'mmengine', 'mmdet', 'compressai'} <= names
    assert 'mmcv' not in names
    torch, packages, mmcv, mmhmc = installs(calls)
    assert '-c requirements/upstream.txt setuptools ' in torch
    assert '-r requirements/standard.txt' in packages
    assert '-r requirements/runtime.txt' in packages
    assert 'requirements/torch.txt' not in packages
    assert ' mmcv==' in mmcv
    assert mmhmc.endswith('-e .')
    assert not (checkout.project / '.venv').exists()
    monkeypatch.delenv('PYTHON')
    assert checkout('upstream') == []


def test_what_upstream_installs_first_is_pinned(checkout):
    first = installs(checkout('upstream'))[0].split()
    names = first[first.index('requirements/upstream.txt') + 1:]
    pinned = requirements(ROOT / 'requirements/upstream.txt')
    assert set(names) <= {requirement.name for requirement in pinned}


def test_upstream_asks_for_a_python_that_its_torch_knows(
        checkout, monkeypatch):
    monkeypatch.setenv('FAIL_ON', 'version < (3, 12)')
    checkout('upstream', status=1)
    assert 'working Python with (3, 10) <= version < (3, 12)' in (
        checkout.stderr)


def test_unknown_lineage_is_refused(checkout):
    assert checkout('other', status=2) == []
    assert 'no lineage `other`: expected onedl or upstream' in checkout.stderr
