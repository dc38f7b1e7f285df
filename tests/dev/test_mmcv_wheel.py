"""dev/mmcv_wheel.py, with neither a compiler nor a network."""
import importlib.util
import re
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

TOOL = Path(__file__).parents[2] / 'dev/mmcv_wheel.py'

SETUP = """
def get_extensions():
        else:
            print(f'Compiling {ext_name} only with CPU')
            op_files = glob.glob('./mmcv/ops/csrc/pytorch/*.cpp') + \\
                glob.glob('./mmcv/ops/csrc/pytorch/cpu/*.cpp')
            extension = CppExtension
"""
FILES = {
    'pybind.cpp': 'm.def("nms", &nms, "nms");\n  m.def(\n "psamask", &psa);',
    'nms.cpp': '',
    'roi_align.cpp': '',
    'cpu/nms.cpp': 'REGISTER_DEVICE_IMPL(nms_impl, CPU, nms_cpu);',
    'cpu/psamask.cpp':
    'REGISTER_DEVICE_IMPL(psamask_impl, CPU,\n      psamask_cpu);',
    'cpu/roi_align.cpp': '#define add other',
}

# Stands in for `python -m pip`: a build as ninja reports it.
PIP = '''#!/usr/bin/env bash
echo "$CFLAGS" >"$FLAGS"
echo "  [1/2] c++ -O3 -c -c /source/.units/cpu.cpp -o cpu.o -std=c++17"
echo "  [2/2] c++ -O3 -c -c /source/.units/bindings.cpp -o bindings.o"
echo "nms.cpp:7: error: this is wrong" >&2
[ -z "$FAILS" ] || exit 1
while [ "$1" != --wheel-dir ]; do shift; done
mkdir -p "$2" && touch "$2/mmcv-2.1.0-cp310-cp310-linux_x86_64.whl"
'''


@pytest.fixture
def tool():
    spec = importlib.util.spec_from_file_location('mmcv_wheel', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def source(tmp_path):
    for name, text in FILES.items():
        file = tmp_path / 'source/mmcv/ops/csrc/pytorch' / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (tmp_path / 'source/setup.py').write_text(SETUP)
    return tmp_path / 'source'


@pytest.fixture
def pip(tool, tmp_path, monkeypatch):
    """A ``python -m pip`` that builds at once; returns the flags' file."""
    python = tmp_path / 'python'
    python.write_text(PIP)
    python.chmod(0o755)
    monkeypatch.setattr(sys, 'executable', str(python))
    monkeypatch.setenv('FLAGS', str(tmp_path / 'flags'))
    monkeypatch.setenv('FAILS', '')
    return tmp_path / 'flags'


def test_units_include_each_published_file_once(tool, source):
    tool.write_units(source)
    texts = {f.name: f.read_text() for f in source.glob('.units/*.cpp')}
    assert set(texts) == {'bindings.cpp', 'cpu.cpp', 'dispatch.cpp'}
    included = re.findall('#include "(.*)"', ''.join(texts.values()))
    paths = [(source / '.units' / name).resolve() for name in included]
    published = (source / 'mmcv').rglob('*.cpp')
    assert sorted(paths) == sorted(path.resolve() for path in published)


def test_helpers_of_clashing_files_get_names_of_their_own(tool, source):
    tool.write_units(source)
    unit = (source / '.units/cpu.cpp').read_text()
    before, after = unit.split('#include "../mmcv/ops/csrc/pytorch/cpu/'
                               'roi_align.cpp"')
    assert '#define PreCalc roi_align_PreCalc' in before
    assert '#undef PreCalc' in after
    # By then the others have read the headers.
    assert 'psamask.cpp' in before


def test_only_the_branch_for_a_cpu_compiles_units(tool, source):
    tool.write_units(source)
    text = (source / 'setup.py').read_text()
    assert "glob.glob('./.units/*.cpp')" in text
    assert text.replace(tool.INSTEAD, tool.PUBLISHED) == SETUP


def test_units_written_again_are_not_compiled_again(tool, source):
    tool.write_units(source)
    times = {f: f.stat().st_mtime_ns for f in source.rglob('*')}
    tool.write_units(source)
    assert {f: f.stat().st_mtime_ns for f in source.rglob('*')} == times


def test_unknown_source_is_left_alone(tool, source):
    (source / 'setup.py').write_text('another')
    with pytest.raises(tool.Failure, match='not the one that is known'):
        tool.write_units(source)
    assert not (source / '.units').exists()


def test_build_shows_each_file_and_keeps_the_optimisation(
        tool, source, pip, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv('CFLAGS', raising=False)
    monkeypatch.setattr(tool.sysconfig, 'get_config_var',
                        lambda name: '-DNDEBUG -O3')
    wheel = tool.build(source, tmp_path)
    assert wheel.name == 'mmcv-2.1.0-cp310-cp310-linux_x86_64.whl'
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r'mmcv: 1 of 2 files compiled after \d+ s: cpu.cpp',
                        lines[0])
    assert len(lines) == 2
    assert pip.read_text() == '-DNDEBUG -O3 -g0\n'


def test_build_that_fails_shows_why(tool, source, pip, tmp_path, monkeypatch):
    monkeypatch.setenv('FAILS', 'yes')
    with pytest.raises(tool.Failure, match='error: this is wrong') as caught:
        tool.build(source, tmp_path)
    assert str(tmp_path / 'build.log') in str(caught.value)


def test_what_is_registered_is_read_from_the_source(tool, source):
    assert tool.registered(source) == ({'nms',
                                        'psamask'}, {'nms_cpu', 'psamask_cpu'})


def test_ops_of_this_environment_are_as_they_should_be(tool):
    ext = pytest.importorskip('mmcv._ext')
    binary = Path(ext.__file__).read_bytes()
    assert tool.differences(ext, ['nms'], ['nms_cpu'], binary) == []
    assert tool.differences(ext, ['nothing'], ['nothing_cpu'], binary) == [
        'there is no `nothing`', '`nothing_cpu` is missing on a CPU'
    ]


@pytest.mark.parametrize('wrong', ['nms', 'roi_align'])
def test_ops_that_compute_something_else_are_found(tool, wrong):
    real = pytest.importorskip('mmcv._ext')

    def nms(boxes, scores, iou_threshold, offset):
        return torch.arange(len(boxes))

    def roi_align_forward(*arguments, **settings):
        real.roi_align_forward(*arguments, **settings | {'aligned': False})

    ops = dict(nms=real.nms, roi_align_forward=real.roi_align_forward)
    ops.update({'nms':
                dict(nms=nms)}.get(wrong,
                                   dict(roi_align_forward=roi_align_forward)))
    found, = tool.differences(SimpleNamespace(**ops), [], [], b'')
    assert f'`{wrong}`' in found and "torchvision's" in found


def test_wheel_without_ops_is_refused(tool, tmp_path):
    with zipfile.ZipFile(tmp_path / 'mmcv.whl', 'w') as archive:
        archive.writestr('mmcv/__init__.py', '')
    with pytest.raises(ImportError, match='made without ops'):
        tool.load(tmp_path / 'mmcv.whl', tmp_path / 'loaded')


def test_wheel_that_does_not_load_is_refused_with_the_reason(
        tool, tmp_path, capsys, monkeypatch):
    python = tmp_path / 'python'
    python.write_text('#!/bin/sh\necho "ImportError: undefined symbol" >&2\n'
                      'kill -SEGV $$')
    python.chmod(0o755)
    monkeypatch.setattr(sys, 'executable', str(python))
    assert not tool.works(tmp_path / 'mmcv.whl', tmp_path)
    assert 'mmcv.whl does not work here:\nImportError: undefined symbol' in (
        capsys.readouterr().out)


@pytest.fixture
def builds(tool, source, monkeypatch, tmp_path):
    """What is built: the text of each setup.py that comes to it."""
    built = []

    def build(source, folder):
        built.append((source / 'setup.py').read_text())
        return folder / 'mmcv.whl'

    def unpack(folder, spec):
        (folder / 'source').mkdir(exist_ok=True)
        (folder / 'source/setup.py').write_text(SETUP)
        return folder / 'source'

    monkeypatch.setattr(tool, 'build', build)
    monkeypatch.setattr(tool, 'unpack', unpack)
    monkeypatch.setattr(tool, 'works', lambda *_: True)
    monkeypatch.setenv('CXX', sys.executable)
    monkeypatch.delenv('FORCE_CUDA', raising=False)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    return built


def test_few_units_are_built_where_there_is_a_cpu(tool, builds, tmp_path):
    tool.from_source('mmcv==2.1.0', tmp_path)
    assert builds == [SETUP.replace(tool.PUBLISHED, tool.INSTEAD)]


def test_ops_that_differ_are_built_as_published(tool, builds, tmp_path,
                                                monkeypatch):
    monkeypatch.setattr(tool, 'works', lambda *_: False)
    tool.from_source('mmcv==2.1.0', tmp_path)
    assert builds == [SETUP.replace(tool.PUBLISHED, tool.INSTEAD), SETUP]


def test_units_that_do_not_compile_are_built_as_published(
        tool, builds, tmp_path, monkeypatch, capsys):
    build = tool.build

    def fail_first(*arguments):
        wheel = build(*arguments)
        if len(builds) == 1:
            raise tool.Failure('error: a name that clashes')
        return wheel

    monkeypatch.setattr(tool, 'build', fail_first)
    tool.from_source('mmcv==2.1.0', tmp_path)
    assert builds[1:] == [SETUP]
    assert 'error: a name that clashes' in capsys.readouterr().out


def test_ops_for_gpus_are_built_as_published(tool, builds, tmp_path,
                                             monkeypatch):
    monkeypatch.setenv('FORCE_CUDA', '1')
    tool.from_source('mmcv==2.1.0', tmp_path)
    assert builds == [SETUP]


def test_missing_compiler_is_named(tool, monkeypatch, tmp_path):
    monkeypatch.setenv('CXX', 'no-such-compiler')
    with pytest.raises(tool.Failure, match='no C\\+\\+ compiler .*apt-get'):
        tool.from_source('mmcv==2.1.0', tmp_path)


def test_build_for_another_torch_begins_anew(tool, tmp_path, monkeypatch):
    folder = tmp_path / 'wheel'
    tool.prepare(folder, 'mmcv==2.1.0')
    (folder / 'compiled').touch()
    tool.prepare(folder, 'mmcv==2.1.0')
    assert (folder / 'compiled').exists()
    monkeypatch.setattr(tool, 'version', lambda name: '9.9')
    tool.prepare(folder, 'mmcv==2.1.0')
    assert not (folder / 'compiled').exists()


@pytest.mark.parametrize('fits', [True, False])
def test_ready_made_wheel_is_taken_where_its_ops_work(tool, tmp_path,
                                                      monkeypatch, fits):
    (tmp_path / 'wheels').mkdir()

    def pip(*arguments):
        target = Path(arguments[arguments.index('--dest') + 1])
        target.mkdir()
        (target / 'mmcv.whl').touch()

    monkeypatch.setattr(tool, 'pip', pip)
    monkeypatch.setattr(tool, 'works', lambda *_: fits)
    wheel = tool.ready_made('mmcv==2.1.0', tmp_path, tmp_path / 'wheels')
    assert wheel == (tmp_path / 'ready/mmcv.whl' if fits else None)


def test_without_a_fitting_wheel_none_is_taken(tool, tmp_path, monkeypatch,
                                               capsys):
    assert tool.ready_made('mmcv==2.1.0', tmp_path, tmp_path / 'none') is None

    def pip(*arguments):
        raise tool.Failure('no matching distribution')

    monkeypatch.setattr(tool, 'pip', pip)
    assert tool.ready_made('mmcv==2.1.0', tmp_path, tmp_path) is None
    assert 'none there fits this Python' in capsys.readouterr().out


def test_wheel_that_is_there_is_not_built_again(tool, builds, tmp_path,
                                                monkeypatch):
    folder = tmp_path / 'wheel'
    tool.prepare(folder, 'mmcv==2.1.0')
    (folder / 'mmcv.whl').touch()
    monkeypatch.setattr(sys, 'argv', ['tool', 'mmcv==2.1.0', str(folder)])
    tool.main()
    assert not builds
