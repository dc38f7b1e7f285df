"""Get a wheel of mmcv whose compiled ops work here.

    python dev/mmcv_wheel.py onedl-mmcv==2.3.6 FOLDER [WHEELS]

A ready-made wheel in the folder ``WHEELS`` is taken if it fits this Python and
this torch. Otherwise mmcv is built from source, which takes its compiler 80
seconds of CPU time: published are 78 files, each of which spends nearly all of
its time on the headers of torch, so here they are included into three. Should
that fail, or the ops differ from torchvision's, the 78 files are compiled as
they are, which takes 24 minutes of CPU time.

Either way the wheel lies in ``FOLDER`` afterwards, for

    pip install --no-deps --no-index --find-links FOLDER onedl-mmcv==2.3.6

What has been compiled stays in ``FOLDER``, so a build that was interrupted
goes on. This file runs in the environment that mmcv is for, and needs torch,
torchvision and the packages of requirements/build.txt there, no others.

Variables:
    MAX_JOBS    compiler processes  (default: all cores)
    FORCE_CUDA  1: with ops for a GPU that torch does not see now
"""
import argparse
import importlib.machinery
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import time
import zipfile
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

OPS = Path('mmcv/ops/csrc/pytorch')
# setuptools takes a folder without a dot for a package.
UNITS = Path('.units')

# What setup.py of mmcv compiles where there is nothing but a CPU.
PUBLISHED = """\
            print(f'Compiling {ext_name} only with CPU')
            op_files = glob.glob('./mmcv/ops/csrc/pytorch/*.cpp') + \\
                glob.glob('./mmcv/ops/csrc/pytorch/cpu/*.cpp')
"""
INSTEAD = f"""\
            print(f'Compiling {{ext_name}} only with CPU')
            op_files = glob.glob('./{UNITS}/*.cpp')
"""

# They define helpers of the same names. Each gets its own, after all headers
# have been read.
CLASHING = ('roi_align.cpp', 'roi_align_rotated.cpp',
            'rotated_feature_align.cpp')
HELPERS = ('PreCalc', 'pre_calc_for_bilinear_interpolate',
           'bilinear_interpolate', 'bilinear_interpolate_gradient', 'add')


class Failure(Exception):
    """A step that did not work; the text says which and why."""


def say(text: str) -> None:
    print(f'mmcv: {text}', flush=True)


def pip(*arguments: str) -> None:
    command = [sys.executable, '-m', 'pip', *arguments]
    if subprocess.run(command).returncode:
        raise Failure(f'`{shlex.join(command)}` failed.')


def prepare(folder: Path, spec: str) -> None:
    """Empty the folder, unless it was begun for the same environment."""
    wanted = f'{spec}, torch {version("torch")}, Python {sys.version}\n'
    note = folder / 'made_for.txt'
    if not note.exists() or note.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        note.write_text(wanted)


def unpack(folder: Path, spec: str) -> Path:
    """The source of mmcv, as published but for what ``write_units`` does."""
    source = folder / 'source'
    if source.exists():
        return source
    name = spec.partition('==')[0]
    archives, unpacked = folder / 'archives', folder / 'unpacked'
    pip('download', '--no-deps', '--no-build-isolation', '--no-binary', name,
        '--dest', str(archives), spec)
    archive, = archives.iterdir()
    shutil.unpack_archive(archive, unpacked)
    # All of it or nothing, also after an interruption.
    next(unpacked.iterdir()).rename(source)
    return source


def write(file: Path, text: str) -> None:
    """Leave a file alone that has the text, so that it is not compiled."""
    if not file.exists() or file.read_text() != text:
        file.write_text(text)


def include(file: Path) -> str:
    # Some files define these two as macros, others call std::min.
    return f'#include "../{file.as_posix()}"\n#undef min\n#undef max\n'


def include_renamed(file: Path) -> str:
    renamed = ''.join(f'#define {name} {file.stem}_{name}\n'
                      for name in HELPERS)
    restored = ''.join(f'#undef {name}\n' for name in HELPERS)
    return renamed + include(file) + restored


def units(source: Path) -> dict[str, str]:
    """Text of the files that include all others, by their names.

    They are compiled in the order of the names; the first takes longest.
    """

    def files(folder: Path) -> list[Path]:
        return [p.relative_to(source) for p in sorted(folder.glob('*.cpp'))]

    bindings = OPS / 'pybind.cpp'
    dispatch = [file for file in files(source / OPS) if file != bindings]
    cpu = files(source / OPS / 'cpu')
    clashing = [file for file in cpu if file.name in CLASHING]
    plain = [file for file in cpu if file not in clashing]
    return {
        'bindings':
        include(bindings),
        'cpu':
        ''.join(map(include, plain)) + ''.join(map(include_renamed, clashing)),
        'dispatch':
        ''.join(map(include, dispatch)),
    }


def write_units(source: Path) -> None:
    """Let setup.py compile a few files that include the others.

    Only its branch for a CPU alone is changed.

    Args:
        source: The unpacked source of mmcv.

    Raises:
        Failure: If that branch is not the known one.
    """
    script = source / 'setup.py'
    text = script.read_text()
    if INSTEAD not in text and PUBLISHED not in text:
        raise Failure('its setup.py is not the one that is known.')
    (source / UNITS).mkdir(exist_ok=True)
    for name, content in units(source).items():
        write(source / UNITS / f'{name}.cpp', content)
    write(script, text.replace(PUBLISHED, INSTEAD))


def build(source: Path, folder: Path) -> Path:
    """Make a wheel, with a line for each file that has been compiled.

    Args:
        source: The unpacked source of mmcv.
        folder: Where wheel and log go.

    Returns:
        Path of the wheel.

    Raises:
        Failure: If there is none in the end.
    """
    jobs = len(os.sched_getaffinity(0)) if hasattr(
        os, 'sched_getaffinity') else os.cpu_count()
    # setuptools 81 lets CFLAGS replace Python's own flags, among which is the
    # optimisation. -g0: debug information only costs time.
    flags = os.environ.get('CFLAGS') or sysconfig.get_config_var('CFLAGS')
    flags = f'{flags or "-O3"} -g0'
    # mmcv 2.1 asks whether its ops are wanted.
    environment = dict(
        os.environ, MMCV_WITH_OPS='1', CFLAGS=flags, CXXFLAGS=flags)
    environment.setdefault('MAX_JOBS', str(jobs))
    log, wheels = folder / 'build.log', folder / 'built'
    shutil.rmtree(wheels, ignore_errors=True)
    command = [
        sys.executable, '-m', 'pip', 'wheel', '-v', '--no-deps',
        '--no-build-isolation', '--no-cache-dir', '--wheel-dir',
        str(wheels),
        str(source)
    ]
    start = time.monotonic()
    with subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding='utf-8',
            errors='replace') as process, log.open('w') as record:
        for line in process.stdout:
            record.write(line)
            # A line of ninja: [2/3] c++ ... -c FILE -o ...
            done = re.match(r'\s*\[(\d+)/(\d+)\] .* -c (\S+)', line)
            if done:
                say(f'{done[1]} of {done[2]} files compiled after '
                    f'{time.monotonic() - start:.0f} s: {Path(done[3]).name}')
    if process.returncode:
        last = ''.join(log.read_text().splitlines(keepends=True)[-15:])
        raise Failure(f'{last}the build failed; {log} has all of its output.')
    wheel, = wheels.glob('*.whl')
    return wheel


def registered(source: Path) -> tuple[set[str], set[str]]:
    """What the source of the ops registers.

    Args:
        source: The unpacked source of mmcv.

    Returns:
        Names that Python sees, and names of the functions for CPUs.
    """
    bindings = (source / OPS / 'pybind.cpp').read_text()
    names = set(re.findall(r'm\.def\(\s*"(\w+)"', bindings))
    functions = set()
    for file in (source / OPS / 'cpu').glob('*.cpp'):
        functions.update(
            re.findall(r'REGISTER_DEVICE_IMPL\(\s*\w+,\s*CPU,\s*(\w+)\)',
                       file.read_text()))
    return names, functions


def load(wheel: Path, folder: Path) -> ModuleType:
    """Load the ops of a wheel, which need neither mmcv nor mmengine."""
    shutil.rmtree(folder, ignore_errors=True)
    with zipfile.ZipFile(wheel) as archive:
        names = re.findall(r'mmcv/_ext\.\S+', '\n'.join(archive.namelist()))
        if not names:
            raise ImportError('the wheel was made without ops')
        file = archive.extract(names[0], folder)
    import torch  # noqa: F401 -- its libraries have to be there first
    loader = importlib.machinery.ExtensionFileLoader('_ext', file)
    module = importlib.util.module_from_spec(
        importlib.util.spec_from_file_location('_ext', file, loader=loader))
    loader.exec_module(module)
    return module


def differences(ext: ModuleType, names: Iterable[str],
                functions: Iterable[str], binary: bytes) -> list[str]:
    """Say in what compiled ops are not as they should be.

    Args:
        ext: The loaded ops.
        names: What they have to offer to Python.
        functions: What they have to do on a CPU.
        binary: The compiled file: it names its functions.

    Returns:
        One sentence for each difference, none if all is well.
    """
    import torch
    from torchvision.ops import nms, roi_align
    found = [
        f'there is no `{name}`' for name in sorted(names)
        if not hasattr(ext, name)
    ]
    found += [
        f'`{name}` is missing on a CPU' for name in sorted(functions)
        if f'{len(name)}{name}'.encode() not in binary
    ]
    if found:
        return found
    random = torch.Generator().manual_seed(0)
    corners = torch.rand(200, 2, generator=random) * 40
    sizes = torch.rand(200, 2, generator=random) * 20 + 1
    boxes = torch.cat([corners, corners + sizes], 1)
    scores = torch.rand(200, generator=random)
    kept = ext.nms(boxes, scores, iou_threshold=0.5, offset=0)
    if kept.tolist() != nms(boxes, scores, 0.5).tolist():
        found.append("`nms` keeps other boxes than torchvision's")
    features = torch.rand(1, 3, 64, 64, generator=random)
    rois = torch.cat([torch.zeros(200, 1), boxes], 1)
    pooled, unused = torch.zeros(200, 3, 7, 7), torch.zeros(0)
    ext.roi_align_forward(
        features,
        rois,
        pooled,
        unused,
        unused,
        aligned_height=7,
        aligned_width=7,
        spatial_scale=1.0,
        sampling_ratio=2,
        pool_mode=1,
        aligned=True)
    expected = roi_align(features, rois, 7, 1.0, 2, aligned=True)
    if not torch.allclose(pooled, expected, rtol=0, atol=1e-5):
        found.append("`roi_align` differs from torchvision's by up to "
                     f'{(pooled - expected).abs().max():.2g}')
    return found


def examine(wheel: Path, folder: Path) -> None:
    """End with what is wrong with a wheel, if anything is.

    A crash ends this process only, see ``works``.
    """
    ext = load(wheel, folder / 'loaded')
    source = folder / 'source'
    names, functions = registered(source) if source.exists() else ((), ())
    found = differences(ext, names, functions, Path(ext.__file__).read_bytes())
    if found:
        sys.exit('\n'.join(found))


def works(wheel: Path, folder: Path) -> bool:
    """Whether the ops of a wheel load and compute what torchvision does."""
    command = [sys.executable, '-W', 'ignore', __file__, '--examine']
    process = subprocess.run(
        [*command, str(wheel), str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding='utf-8',
        errors='replace')
    if process.returncode:
        last = process.stderr.strip().splitlines()[-5:]
        say('\n'.join([f'{wheel.name} does not work here:', *last]))
    return not process.returncode


def ready_made(spec: str, folder: Path, wheels: Path) -> Path | None:
    """A wheel of the folder ``wheels`` that works here, if there is one."""
    if not wheels.is_dir():
        return None
    say(f'looking for a ready-made wheel in {wheels}')
    # --no-index: a wheel from elsewhere may have been made without ops.
    try:
        pip('-qqq', 'download', '--no-deps', '--no-index', '--only-binary',
            ':all:', '--find-links', str(wheels), '--dest',
            str(folder / 'ready'), spec)
    except Failure:
        say('none there fits this Python.')
        return None
    wheel, = (folder / 'ready').glob('*.whl')
    return wheel if works(wheel, folder) else None


def from_source(spec: str, folder: Path) -> Path:
    """Build in a few units, or else as published."""
    compiler = os.environ.get('CXX') or 'c++'
    if not shutil.which(shlex.split(compiler)[0]):
        raise Failure(
            f'there is no C++ compiler (`{compiler}`) to build it with. '
            'Install one (Debian, Ubuntu: apt-get install g++), then repeat.')
    import torch
    source = unpack(folder, spec)
    if torch.cuda.is_available() or os.environ.get('FORCE_CUDA') == '1':
        say('building it with ops for GPUs, 15 minutes and more.')
        return build(source, folder)
    say('building it, 1 to 2 minutes on two idle cores.')
    try:
        write_units(source)
        wheel = build(source, folder)
        if works(wheel, folder):
            return wheel
    except Failure as failure:
        say(str(failure))
    say('building it as it was published, 12 minutes and more on two cores.')
    shutil.rmtree(source)
    return build(unpack(folder, spec), folder)


def main() -> None:
    if sys.argv[1:2] == ['--examine']:
        examine(*map(Path, sys.argv[2:]))
        return
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('spec', help='package and version: mmcv==2.1.0')
    parser.add_argument('folder', type=Path, help='where the wheel goes')
    parser.add_argument('wheels', type=Path, nargs='?', help='ready-made ones')
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    try:
        prepare(folder, arguments.spec)
        if any(folder.glob('*.whl')):
            return
        wheel = arguments.wheels and ready_made(arguments.spec, folder,
                                                arguments.wheels)
        wheel = wheel or from_source(arguments.spec, folder)
    except Failure as failure:
        sys.exit(f'mmcv: {failure}')
    wheel.rename(folder / wheel.name)
    say(f'the wheel is {wheel.name}')


if __name__ == '__main__':
    main()
