"""The doctor against environments made of fake packages.

A bare interpreter has only the standard library; fakes reach it through
PYTHONPATH, each a package folder and the metadata of its distribution.
"""
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from mmhmc.apis import doctor

ROOT = Path(__file__).parents[2]
#: Files of requirements of each lineage.
LINEAGES = {'onedl': ('constraints', ), 'open-mmlab': ('upstream', )}
EXTRAS = {
    extra: [
        line
        for line in (ROOT /
                     f'requirements/{extra}.txt').read_text().splitlines()
        if line[:1] not in '#'
    ]
    for extra in doctor.EXTRAS
}
BUILD_TOOLS = ('setuptools', 'wheel', 'ninja', 'psutil', 'packaging',
               'pybind11')
CONFIG_UTILS = 'MODULE2PACKAGE = dict(mmseg="mmseg", mmhmc="mmhmc", {})'
INSTALLED_PATH = '''
import importlib.util, os
def get_installed_path(name):
    return os.path.dirname(importlib.util.find_spec(name).origin)
'''

MACHINE = '''
import torch
def free_cores(): return 4
def choose_arithmetic(device): return f"float32 on {device}"
'''


class Site:
    """A folder of fake packages."""

    def __init__(self, folder: Path):
        self.folder = folder

    def write(self, path: str, text: str) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def add(self, module, version='1.0', name=None, code='', requires=()):
        """Write a module, or replace it, with a distribution of its own."""
        name = name or module
        self.write(f'{module}/__init__.py', code)
        lines = ['Metadata-Version: 2.1', f'Name: {name}']
        lines += [f'Version: {version}']
        lines += [f'Requires-Dist: {requirement}' for requirement in requires]
        info = name.replace('-', '_') + '.dist-info'
        self.write(f'{info}/METADATA', '\n'.join(lines) + '\n')
        self.write(f'{info}/top_level.txt', module)

    def remove(self, module: str) -> None:
        shutil.rmtree(self.folder / module)
        for info in self.folder.glob('*.dist-info'):
            if (info / 'top_level.txt').read_text() == module:
                shutil.rmtree(info)


def stack(lineage: str) -> dict[str, str]:
    """Versions that were tried, by distribution."""
    text = '\n'.join((ROOT / f'requirements/{name}.txt').read_text()
                     for name in LINEAGES[lineage])
    return dict(re.findall(r'(?m)^([\w-]+)==([\d.]+)', text))


def host_of(lineage: str, module: str) -> tuple[str, str]:
    """Distribution of a module, and its version."""
    return next((name, version) for name, version in stack(lineage).items()
                if name in doctor.DISTRIBUTIONS[module])


def fill(site: Site, lineage: str = 'onedl') -> None:
    """Write fakes of everything that a healthy environment has."""
    no_gpu = 'class cuda: is_available = staticmethod(lambda: False)'
    site.add('numpy', '2.2.6' if lineage == 'onedl' else '1.26.4')
    site.add('torch', stack(lineage)['torch'], code=no_gpu)
    site.add('torchvision', stack(lineage)['torchvision'])
    site.add('cv2', '4.10.0', name='opencv-python')
    for module in ('mmengine', 'mmcv', *doctor.HOSTS):
        name, version = host_of(lineage, module)
        site.add(module, version, name=name)
        site.write(f'{module}/.mim/configs/x.py', '')
    site.write('mmcv/_ext.py',
               'def get_compiling_cuda_version(): return "not available"')
    pairs = ', '.join(f'{host}="{host}"' for host in ('mmdet', 'mmpretrain'))
    site.write('mmengine/config/__init__.py', '')
    site.write('mmengine/config/utils.py', CONFIG_UTILS.format(pairs))
    site.write('mmengine/utils.py', INSTALLED_PATH)
    site.add('pycocotools')
    site.add('pytorch_msssim', name='pytorch-msssim')
    site.add('compressai', '1.2.6', requires=['numpy>=1.21.0'])
    site.add('safetensors')
    for spec in sum(EXTRAS.values(), []):
        name, _, version = re.split('([=>]=)',
                                    re.split('[;,]', spec)[0] + '==1.0')[:3]
        site.add(f'module_of_{name}', version.rstrip('.*'), name=name)
    site.add('mmhmc')
    site.write('mmhmc/.mim/configs/x.py', '')
    site.write('mmhmc/machine.py', MACHINE)
    site.write('mmhmc/bitstream/__init__.py', '')
    site.write('mmhmc/bitstream/_rans.py', '')
    for module in BUILD_TOOLS:
        site.add(module, '69.5' if lineage == 'open-mmlab' else '81.0')


@pytest.fixture(scope='module')
def bare_python(tmp_path_factory):
    """Path of an interpreter that has the standard library only."""
    folder = tmp_path_factory.mktemp('bare')
    subprocess.run(
        [sys.executable, '-m', 'venv', '--without-pip',
         str(folder)],
        check=True)
    return str(folder / 'bin' / 'python')


@pytest.fixture
def site(tmp_path, monkeypatch):
    site = Site(tmp_path / 'site')
    fill(site)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('PYTHONPATH', str(site.folder))
    return site


class Judged(NamedTuple):
    found: str
    state: str
    fix: str


@pytest.fixture
def examine(bare_python):
    """Examine the fakes: rows by name, and what repairs each."""

    def examine(timeout: float = 60) -> dict[str, Judged]:
        env = doctor.survey(bare_python, timeout)
        return {
            row.name: Judged(row.found, row.state, doctor.command(env, [row]))
            for row in doctor.diagnose(env)
        }

    return examine


def wrong(rows: dict[str, Judged]) -> set[str]:
    return {
        name
        for name, row in rows.items()
        if row.state in (doctor.MISSING, doctor.MISFIT)
    }


def run_file(python: str, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([python, doctor.__file__, *arguments],
                          capture_output=True,
                          text=True)


@pytest.mark.parametrize('lineage', LINEAGES)
def test_healthy_environment_of_either_lineage_passes(lineage, site, examine):
    for module in ('mmengine', 'mmcv', *doctor.HOSTS):
        site.remove(module)
    fill(site, lineage)
    rows = examine()
    assert not wrong(rows)
    name, _ = host_of(lineage, 'mmdet')
    assert f'({name})' in rows['mmdet'].found


def test_json_is_one_document_and_status_is_0_when_all_is_there(
        site, bare_python):
    process = run_file(bare_python, '--json')
    document = json.loads(process.stdout)
    assert (process.returncode, document['ok']) == (0, True)
    assert set(document['rows'][0]) == {'name', 'found', 'state', 'specs'}


def test_standard_library_alone_is_enough_to_say_what_is_missing(
        bare_python, tmp_path, monkeypatch):
    monkeypatch.setenv('PYTHONPATH', str(tmp_path))
    monkeypatch.chdir(tmp_path)
    process = run_file(bare_python)
    assert process.returncode == 1
    assert not process.stderr
    assert 'onedl-mmengine==0.10.12' in process.stdout
    assert 'needs `mmcv`, which fails' in process.stdout
    assert process.stdout.count(' install ') <= 7


def test_missing_package_is_added_under_constraint_of_what_is_installed(
        site, examine):
    site.remove('pytorch_msssim')
    rows = examine()
    assert wrong(rows) == {'pytorch_msssim'}
    assert rows['pytorch_msssim'].state == doctor.MISSING
    freeze, install = rows['pytorch_msssim'].fix.split(' && ')
    assert freeze.endswith('-m pip list --format=freeze > installed.txt')
    assert install.endswith('install --no-build-isolation '
                            '-c installed.txt pytorch-msssim')


def test_compressai_is_built_with_the_torch_that_is_there(site, examine):
    site.remove('compressai')
    site.remove('pybind11')
    tools, _, install = examine()['compressai'].fix.split(' && ')
    assert tools.endswith('-m pip install pybind11')
    assert install.endswith('install --no-build-isolation '
                            '-c installed.txt compressai==1.2.6')


def test_missing_host_is_optional_while_another_works(site, examine):
    site.remove('mmseg')
    site.remove('mmpretrain')
    rows = examine()
    assert not wrong(rows)
    assert rows['mmseg'].state == doctor.OPTIONAL


def test_some_host_is_needed(site, examine):
    for host in doctor.HOSTS:
        site.remove(host)
    assert set(doctor.HOSTS) <= wrong(examine())


@pytest.mark.parametrize('lineage', LINEAGES)
def test_advice_stays_in_the_lineage_that_is_installed(lineage, site, examine):
    for module in ('mmengine', 'mmcv', *doctor.HOSTS):
        site.remove(module)
    fill(site, lineage)
    site.remove('mmseg')
    assert examine()['mmseg'].fix.endswith('=='.join(
        host_of(lineage, 'mmseg')))


def test_package_that_raises_is_named_with_its_exception(site, examine):
    site.add('compressai', '1.2.6', code='raise RuntimeError("bad\\n luck")')
    rows = examine()
    assert wrong(rows) == {'compressai'}
    assert rows['compressai'].state == doctor.MISFIT
    assert rows['compressai'].found.endswith('fails: RuntimeError: bad')
    assert rows['compressai'].fix.endswith(
        'pip install --force-reinstall --no-deps --no-build-isolation '
        'compressai==1.2.6')


@pytest.mark.parametrize(('code', 'words'), [
    ('import os; os.kill(os.getpid(), 9)', 'died of signal 9'),
    ('import time; time.sleep(60)', 'not imported after 2 s'),
    ('import sys; sys.exit(0)', 'ended without a word'),
])
def test_package_that_ends_the_process_is_survived(code, words, site, examine):
    site.add('pycocotools', code=code)
    rows = examine(timeout=2)
    assert wrong(rows) == {'pycocotools'}
    assert words in rows['pycocotools'].found


def test_failure_is_blamed_on_the_package_beneath(site, examine):
    site.remove('torch')
    site.add('compressai', code='import torch')
    row = examine()['compressai']
    assert (row.found, row.fix) == ('needs `torch`, which fails', '')


def test_package_that_lacks_a_dependency_is_completed(site, examine):
    site.add('compressai', '1.2.6', code='import torch_geometric')
    row = examine()['compressai']
    assert row.state == doctor.MISSING
    assert '-c installed.txt compressai==1.2.6' in row.fix


def test_torchvision_of_another_build_is_replaced_by_the_one_that_fits(
        site, examine):
    site.add(
        'torchvision',
        '0.26.0',
        code='raise RuntimeError("operator torchvision::nms does not exist")')
    row = examine()['torchvision']
    assert (row.state, 'torchvision::nms'
            in row.found) == (doctor.MISFIT, True)
    assert '--force-reinstall --no-deps' in row.fix
    assert row.fix.endswith('torchvision==0.26.0')


def test_torchvision_for_a_labelled_torch_comes_from_the_index_of_torch(
        site, examine):
    site.add('torch', '2.1.2+cpu', code=(site.folder / 'torch/__init__.py')
             .read_text())  # yapf: disable
    site.add('torchvision', '0.17.0', requires=['torch (==2.2.0)'])
    row = examine()['torchvision']
    assert 'demands torch (==2.2.0), and that is 2.1.2+cpu' in row.found
    assert row.fix.endswith('/whl/cpu torchvision==0.16.2+cpu')


def test_mmcv_without_ops_is_built_again_in_its_version(site, examine):
    site.add('mmcv', '2.3.5', name='onedl-mmcv')
    (site.folder / 'mmcv/_ext.py').unlink()
    rows = examine()
    assert wrong(rows) == {'mmcv._ext'}
    assert rows['mmcv._ext'].state == doctor.MISSING
    # Optimised: setuptools lets CFLAGS replace Python's own flags.
    assert rows['mmcv._ext'].fix.startswith(
        "MMCV_WITH_OPS=1 CFLAGS='-O3 -g0' CXXFLAGS='-O3 -g0' ")
    assert rows['mmcv._ext'].fix.endswith(
        '--no-deps --no-build-isolation --no-cache-dir '
        '--no-binary onedl-mmcv onedl-mmcv==2.3.5')


def test_distribution_without_ops_is_removed_before_mmcv_is_built(
        site, examine):
    site.remove('mmcv')
    site.add('mmcv', '2.2.0', name='mmcv-lite')
    remove, build = examine()['mmcv._ext'].fix.split(' && ')
    assert remove.endswith('pip uninstall -y mmcv-lite')
    assert build.endswith('onedl-mmcv==2.3.6')


def test_ops_for_the_cpu_do_not_fit_a_gpu(site, examine):
    site.add(
        'torch',
        '2.11.0',
        code='class cuda:\n'
        '    is_available = staticmethod(lambda: True)\n'
        '    get_device_name = staticmethod(lambda index: "a GPU")')
    rows = examine()
    assert wrong(rows) == {'mmcv._ext'}
    assert 'FORCE_CUDA=1' in rows['mmcv._ext'].fix
    assert rows['GPU'].found == 'a GPU'


def test_setuptools_82_matters_only_while_mmcv_has_to_be_built(site, examine):
    site.add('setuptools', '82.0')
    assert not wrong(examine())
    (site.folder / 'mmcv/_ext.py').unlink()
    tools, _ = examine()['mmcv._ext'].fix.split(' && ')
    assert tools.endswith("install 'setuptools>=70,<82'")


def test_compiler_is_missing_only_while_something_has_to_be_built(
        site, examine, monkeypatch):
    monkeypatch.setattr(doctor.shutil, 'which', lambda command: None)
    assert examine()['C++ compiler'].state == doctor.OPTIONAL
    site.remove('compressai')
    assert examine()['C++ compiler'].state == doctor.MISSING


def test_host_that_refuses_mmcv_gets_the_mmcv_it_was_tried_with(site, examine):
    site.add('mmcv', '2.9.9', name='onedl-mmcv')
    site.add(
        'mmdet',
        name='onedl-mmdetection',
        code='assert False, "MMCV==2.9.9 is used but incompatible."')
    row = examine()['mmdet']
    assert row.state == doctor.MISFIT
    assert row.fix.endswith('onedl-mmcv==2.3.6')


@pytest.mark.parametrize(('version', 'words'), [('4.13.0', '<4.13'),
                                                ('4.12.0', 'overwrite')])
def test_opencv_distributions_have_one_version_below_4_13(
        version, words, site, examine):
    site.add('cv2', version, name='opencv-python-headless')
    if version == '4.13.0':
        site.add('cv2', version, name='opencv-python')
    row = examine()['cv2']
    assert (row.state, words in row.found) == (doctor.MISFIT, True)
    assert row.fix.endswith("'opencv-python<4.13' "
                            "'opencv-python-headless<4.13'")


def test_bound_of_compressai_on_numpy_is_named(site, examine):
    site.add('compressai', '1.2.8', requires=['numpy<2.0,>=1.21.0'])
    row = examine()['compressai']
    assert row.state == doctor.MISFIT
    assert 'demands numpy<2.0,>=1.21.0, and that is 2.2.6' in row.found
    assert row.fix.endswith('compressai==1.2.6')


def test_bound_of_compressai_on_numpy_is_no_matter_below_numpy_2(
        site, examine):
    site.add('numpy', '1.26.4')
    site.add('compressai', '1.2.8', requires=['numpy<2.0,>=1.21.0'])
    assert not wrong(examine())


@pytest.mark.parametrize('version, warned', [('2.9.1', True), ('2.1.2', True),
                                             ('2.10.0', False),
                                             ('3.0.0', False)])
def test_torch_that_may_run_code_from_a_file_is_named(version, warned, site,
                                                      examine):
    site.remove('torch')
    site.add('torch', version, code='class cuda: is_available = lambda: False')
    row = examine()['torch']
    assert row.state == doctor.OK
    assert ('read only .safetensors' in row.found) == warned


def test_coder_that_is_not_compiled_is_optional(site, examine):
    (site.folder / 'mmhmc/bitstream/_rans.py').unlink()
    rows = examine()
    assert not wrong(rows)
    row = rows['mmhmc.bitstream._rans']
    assert row.state == doctor.OPTIONAL
    assert 'the slow coder in Python serves' in row.found
    assert 'ModuleNotFoundError' in row.found
    assert '--no-deps --no-build-isolation -v -e ' in row.fix


def test_what_suits_the_machine_is_shown(site, examine):
    row = examine()['mmhmc.machine']
    assert row.state == doctor.OK
    assert row.found == 'cpu: float32 on cpu; 4 cores free'


def test_variable_that_cannot_be_is_named(site, examine):
    site.write('mmhmc/machine.py',
               MACHINE.replace('return f', 'raise ValueError(') + ')')
    row = examine()['mmhmc.machine']
    assert row.state == doctor.MISFIT
    assert (row.fix, 'ValueError' in row.found) == ('', True)


@pytest.mark.parametrize('broken', ['torch', 'mmhmc'])
def test_coder_waits_for_what_it_imports(site, examine, broken):
    site.add(broken, code='raise RuntimeError("no")')
    site.write('mmhmc/bitstream/_rans.py', f'import {broken}')
    row = examine()['mmhmc.bitstream._rans']
    assert row.found.endswith(f'needs `{broken}`, which fails')
    assert not row.fix


def test_installed_mmhmc_is_not_repaired_from_where_it_is(
        site, examine, monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, '_ROOT', tmp_path / 'site')
    (site.folder / 'mmhmc/bitstream/_rans.py').unlink()
    fix = examine()['mmhmc.bitstream._rans'].fix
    assert fix.endswith('-v CHECKOUT_OF_MMHMC')


@pytest.mark.parametrize('extra', doctor.EXTRAS)
def test_extra_is_optional_and_says_what_it_is_for(extra, site, examine):
    name = re.split('[=>]', EXTRAS[extra][-1])[0]
    lacking = [s for s in EXTRAS[extra] if re.split('[=>]', s)[0] == name]
    site.remove(f'module_of_{name}')
    rows = examine()
    assert not wrong(rows)
    assert rows[extra].state == doctor.OPTIONAL
    assert rows[extra].found == f'for {doctor.EXTRAS[extra]}: no {name}'
    install = shlex.split(rows[extra].fix.split(' && ')[1])
    assert install[install.index('installed.txt') + 1:] == lacking


def test_extra_that_is_too_old_is_named(site, examine):
    site.remove('module_of_pillow')
    site.add('module_of_pillow', '11.2', name='pillow')
    assert examine()['standard'].found.endswith(': no pillow')


def test_without_a_checkout_the_wheel_says_what_is_required(
        site, examine, monkeypatch, tmp_path):
    shutil.copytree(ROOT / 'requirements',
                    tmp_path / 'mmhmc/.mim/requirements')
    monkeypatch.setattr(doctor, '_ROOT', tmp_path)
    site.remove('mmseg')
    site.remove('module_of_scikit-image')
    rows = examine()
    assert rows['mmseg'].fix.endswith('onedl-mmsegmentation==1.4.2')
    assert rows['sample'].fix.endswith("'scikit-image>=0.25,<0.27'")


def test_bases_need_the_configs_beside_the_package(site, examine):
    (site.folder / 'mmhmc/.mim/configs/x.py').unlink()
    (site.folder / 'mmhmc/.mim/configs').rmdir()
    rows = examine()
    assert wrong(rows) == {'mmhmc::'}
    assert '--no-build-isolation -v -e ' in rows['mmhmc::'].fix
