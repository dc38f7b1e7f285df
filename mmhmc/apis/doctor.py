"""Say what is installed, what is missing, and one command that repairs it.

Needs the standard library only. Every package is imported in a child process,
so one that raises, hangs or crashes becomes a row of the table. Where
``import mmhmc`` itself fails, run this file: ``python mmhmc/apis/doctor.py``.
"""
from __future__ import annotations
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

OK = 'ok'
MISSING = 'missing'
MISFIT = 'does not fit'
OPTIONAL = 'optional'

HOSTS = ('mmdet', 'mmseg', 'mmpretrain')
#: Distributions of a module that is not called like its distribution.
DISTRIBUTIONS = {
    'cv2': ('opencv-python', 'opencv-python-headless'),
    'mmengine': ('onedl-mmengine', 'mmengine'),
    'mmcv': ('onedl-mmcv', 'mmcv'),
    'mmdet': ('onedl-mmdetection', 'mmdet'),
    'mmseg': ('onedl-mmsegmentation', 'mmsegmentation'),
    'mmpretrain': ('onedl-mmpretrain', 'mmpretrain'),
    'pytorch_msssim': ('pytorch-msssim', ),
}
#: What packages bring that only some uses need, by the name of the extra.
EXTRAS = {
    'sample': 'the built-in data set',
    'evaluation': 'BD-rates, pages and curves that zoom',
    'standard': 'HEVC, VVC, JPEG XL and AVIF',
    'perceptual': 'LPIPS, FID, KID, DISTS and NIQE',
    'training': 'Muon, an optimizer',
    'hub': 'weights at hf://',
    'imagenet': 'a network trained on ImageNet',
    'docs': 'the pages of docs/',
}
#: What is examined, a package before those that import it. ``metadata`` and
#: ``mmhmc::`` (bases of configs) are no modules, see ``doctor_child.py``.
EXAMINED = ('metadata', 'numpy', 'torch', 'torchvision', 'cv2', 'mmengine',
            'mmcv', 'mmcv._ext', 'pycocotools', *HOSTS, 'pytorch_msssim',
            'compressai', 'safetensors', 'mmhmc', 'mmhmc.machine',
            'mmhmc.bitstream._rans', 'mmhmc::')
_FORCE = ('install', '--force-reinstall', '--no-deps', '--no-build-isolation')
_INDEX = '--extra-index-url=https://download.pytorch.org/whl/'
_ROOT = Path(__file__).resolve().parents[2]
#: Of a checkout, or what setup.py has put into the package.
_REQUIREMENTS = ('requirements', 'mmhmc/.mim/requirements')
#: Program of the child, by its text: its folder must not be on the path.
_CHILD = Path(__file__).with_name('doctor_child.py').read_text()


@dataclass(frozen=True)
class Row:
    """One line of the report.

    Args:
        name: What was examined.
        found: What was found, in words.
        state: ``ok``, ``missing``, ``does not fit`` or ``optional`` (absent,
            and only some uses need it).
        specs: Requirements that repair it; in place of what is installed if
            that does not fit.
    """
    name: str
    found: str
    state: str
    specs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Environment:
    """What one interpreter has, as seen from outside.

    Args:
        python: Path of the interpreter.
        facts: What each of ``EXAMINED`` that works said about itself.
        errors: Of each other one the line of its exception, or what ended
            the process.
    """
    python: str
    facts: dict[str, dict]
    errors: dict[str, str]

    def absent(self, module: str) -> bool:
        """Whether a module is not there, rather than broken."""
        return self.errors.get(module) == _not_found(module)

    def version(self, distribution: str) -> str:
        """Version of a distribution, empty if it is not installed."""
        return self.facts['metadata']['versions'].get(distribution, '')

    def installed(self, module: str) -> dict[str, str]:
        """Distributions that supply a module, and their versions."""
        return self.facts['metadata']['installed'].get(module, {})

    def describe(self, module: str) -> str:
        """Versions of a module, or what it said about itself."""
        there = [f'{v} ({d})' for d, v in self.installed(module).items()]
        found = self.facts.get(module, {}).get('found', 'no distribution')
        return ', '.join(there) or found

    def extra(self, name: str) -> list[str]:
        """Lines of a file of requirements, of the checkout or the wheel."""
        for folder in _REQUIREMENTS:
            file = _ROOT / folder / f'{name}.txt'
            if file.is_file():
                lines = file.read_text().splitlines()
                return [line for line in lines if line[:1] not in '#']
        return []

    def tried(self, module: str) -> tuple[str, ...]:
        """Requirement of a module in the version that was tried.

        In the lineage of what is installed. Other versions may fit, too.
        """
        hosts = [d for host in HOSTS for d in self.installed(host)]
        upstream = not any(name.startswith('onedl-') for name in hosts) \
            if hosts else self.version('numpy').startswith('1.')
        names = DISTRIBUTIONS.get(module, (module, ))
        pinned = [
            line for line in self.extra('constraints')
            # That compressai fits both: it has no upper bound on numpy.
            if not upstream or _name(line) == 'compressai'
        ]
        others = ('upstream', ) if upstream else ('build', 'codecs')
        pinned += [line for name in others for line in self.extra(name)]
        found = {
            _name(line): line
            for line in reversed(pinned) if _name(line) in names
        }
        lines = [found[name] for name in names if name in found]
        there = [line for line in lines if self.version(_name(line))]
        return tuple(there or lines[:1] or names[:1])

    def misfit(self, module: str) -> str:
        """Why a module that imports does not fit, or nothing."""
        there = self.installed(module)
        if len(set(there.values())) > 1:
            return 'they overwrite each other; one version is needed'
        for line in self.tried(module):
            if not _fits(line, there.get(_name(line), '0')):
                return f'expected {line}'
        for line in self.facts['metadata']['requires'].get(module, []):
            version = self.version(_name(line))
            if (_name(line) in ('numpy', 'torch') and version
                    and not _fits(line, version, exact=True)):
                return f'it demands {line}, and that is {version}'
        return ''

    @property
    def gpu(self) -> str:
        """Name of the GPU that torch sees, or nothing."""
        return self.facts.get('torch', {}).get('gpu', '')

    def pip(self, *arguments: str) -> str:
        """Command that runs this interpreter's pip."""
        python = self.python.removeprefix(os.path.join(os.getcwd(), ''))
        return shlex.join([python, '-m', 'pip', *arguments])


def _not_found(module: str) -> str:
    return f"ModuleNotFoundError: No module named '{module}'"


def _name(requirement: str) -> str:
    return re.split(r'[\s<>=;(]', requirement, maxsplit=1)[0].lower()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r'\d+', version.split('+')[0])[:3]))


def _fits(requirement: str, version: str, exact: bool = False) -> bool:
    """Whether a version is within bounds; an ``==`` is one if ``exact``."""
    here = _numbers(version)
    within = {
        '<': here.__lt__,
        '>=': here.__ge__,
        '==': lambda bound: not exact or here[:len(bound)] == bound
    }
    bounds = re.findall(r'(<|>=|==)([\d.]+)', requirement.split(';')[0])
    return bool(here) and all(within[sign](_numbers(bound))
                              for sign, bound in bounds)


def survey(python: str = sys.executable, timeout: float = 60) -> Environment:
    """Examine an interpreter.

    Its packages are imported by a child process, one after the other. One
    that ends the process costs a new process for the packages after it.

    Args:
        python: Path of the interpreter.
        timeout: Seconds after which a child is given up.

    Returns:
        What was found.
    """
    facts, errors = {}, {}
    while todo := [m for m in EXAMINED if m not in {*facts, *errors}]:
        stdout, error = _run_child(python, todo, timeout)
        begun = todo[0]
        for line in stdout.decode(errors='replace').splitlines():
            if line.startswith('doctor: '):
                begun, found = json.loads(line[len('doctor: '):])
                if found is not None:
                    facts[begun] = found
        if begun not in facts:
            errors[begun] = error
    return Environment(python, facts, errors)


def _run_child(python: str, modules: list[str],
               timeout: float) -> tuple[bytes, str]:
    """What a child wrote, and what ended it."""
    command = [python, '-W', 'ignore', '-c', _CHILD, *modules]
    try:
        child = subprocess.run(command, capture_output=True, timeout=timeout)
    except subprocess.TimeoutExpired as expired:
        return expired.stdout or b'', f'not imported after {timeout:g} s'
    if child.returncode < 0:
        return child.stdout, f'the process died of signal {-child.returncode}'
    _, _, text = child.stderr.decode(errors='replace').rpartition('Traceback')
    # Behind the frames of the last traceback stands the exception.
    lines = [line for line in text.splitlines()[1:] if line[:1] not in ' ']
    return child.stdout, next(
        iter(lines or text.splitlines()[-1:]),
        'the process ended without a word')


def diagnose(env: Environment) -> list[Row]:
    """Judge an environment.

    Args:
        env: What ``survey`` found.

    Returns:
        One row for everything that was examined.
    """
    no_host = not any(host in env.facts for host in HOSTS)
    bases = ('mmhmc', ) * ('without -e' not in env.errors.get('mmhmc::', ''))
    return [
        _package(env, 'numpy'),
        _package(env, 'torch'),
        _package(env, 'torchvision', specs=_pair_of_torch(env)),
        Row('GPU', env.gpu or 'torch sees none: everything runs on the CPU',
            OK if env.gpu else OPTIONAL),
        _package(env, 'cv2'),
        _package(env, 'mmengine'),
        _compiler(env),
        _package(env, 'mmcv'),
        _mmcv_ops(env),
        _package(env, 'pycocotools', no_host or not env.absent('mmdet')),
        *(_package(env, host, no_host or not env.absent(host))
          for host in HOSTS),
        _package(env, 'pytorch_msssim'),
        _package(env, 'compressai'),
        _package(env, 'safetensors', needed=False),
        _package(env, 'mmhmc'),
        _package(env, 'mmhmc.machine', specs=()),
        _coder(env),
        _package(env, 'mmhmc::', specs=bases),
        *(_extra(env, name) for name in EXTRAS),
    ]


def _package(env: Environment,
             module: str,
             needed: bool = True,
             specs: tuple[str, ...] | None = None) -> Row:
    """Judge a package by whether it imports and fits the others."""
    if module in env.errors and not env.absent(module):
        return _broken(env, module, specs)
    specs = env.tried(module) if specs is None else specs
    if env.absent(module):
        return Row(
            module, 'not installed'
            if needed else 'not installed; only some uses need it',
            MISSING if needed else OPTIONAL, specs)
    if why := env.misfit(module):
        return Row(module, f'{env.describe(module)}: {why}', MISFIT, specs)
    found = env.describe(module)
    if module == 'torch' and _numbers(found) < (2, 10):
        # CVE-2025-32434 (up to 2.5.1) and CVE-2026-24747.
        found += ('; below 2.10 a .pth file from elsewhere can run code, so '
                  'read only .safetensors from there')
    return Row(module, found, OK)


def _broken(env: Environment,
            module: str,
            specs: tuple[str, ...] | None = None,
            state: str = MISFIT) -> Row:
    """Name the cause of a failed import; the cause is repaired first."""
    error, package = env.errors[module], re.split('[.:]', module)[0]
    for earlier in EXAMINED[:EXAMINED.index(module)]:
        if error in (_not_found(earlier), env.errors.get(earlier)):
            return Row(module, f'needs `{earlier}`, which fails', state)
    if state == MISFIT and error.startswith('ModuleNotFoundError'):
        # Installing it again brings the dependency that it lacks.
        state = MISSING
    if error.startswith('AssertionError: MMCV=='):
        specs = env.tried('mmcv')
    if specs is None:
        there = env.installed(package) or {package: ''}
        specs = tuple(f'{d}=={v}' if v else d for d, v in there.items())
    return Row(module, f'{env.describe(package)} fails: {error}', state, specs)


def _pair_of_torch(env: Environment) -> tuple[str, ...] | None:
    """torchvision 0.(N+15).P belongs to torch 2.N.P, of the same build."""
    torch = env.version('torch')
    major, minor, patch = (*_numbers(torch), 0, 0, 0)[:3]
    if (major, minor) < (2, 1):
        return None
    _, plus, build = torch.partition('+')
    return (f'torchvision==0.{minor + 15}.{patch}{plus}{build}', )


def _compiler(env: Environment) -> Row:
    commands = (os.environ.get('CXX') or 'c++', 'g++', 'clang++')
    path = next(filter(None, map(shutil.which, commands)), None)
    if path:
        return Row('C++ compiler', path, OK)
    builds = {'mmcv._ext', 'compressai'} & set(env.errors)
    return Row(
        'C++ compiler', 'none; building mmcv or compressai needs one: '
        'apt-get install g++', MISSING if builds else OPTIONAL)


def _mmcv_ops(env: Environment) -> Row:
    name, (spec, ) = 'mmcv._ext', env.tried('mmcv')
    if kept := env.installed('mmcv').get(_name(spec)):
        spec = f'{_name(spec)}=={kept}'
    if name in env.errors:
        return _broken(env, name, (spec, ))
    if env.gpu and 'not available' in env.describe(name):
        return Row(name, 'built for the CPU only, but torch sees a GPU',
                   MISFIT, (spec, ))
    return Row(name, env.describe(name), OK)


def _coder(env: Environment) -> Row:
    name = 'mmhmc.bitstream._rans'
    if name not in env.errors:
        return Row(name, 'the entropy coder is compiled', OK)
    row = _broken(env, name, ('mmhmc', ), OPTIONAL)
    return replace(row, found=f'the slow coder in Python serves: {row.found}')


def _extra(env: Environment, extra: str) -> Row:
    """Judge by what is installed: importing all of them takes long."""
    lacking = tuple(
        line for line in env.extra(extra)
        if not _fits(line, env.version(_name(line))))
    names = ', '.join(dict.fromkeys(map(_name, lacking)))
    return Row(extra, f'for {EXTRAS[extra]}' + f': no {names}' * bool(names),
               OPTIONAL if lacking else OK, lacking)


def command(env: Environment, rows: list[Row]) -> str:
    """One command that installs what rows name, and changes nothing else.

    Args:
        env: Where it is to be installed.
        rows: Some of what :func:`diagnose` gave.
    """
    wanted = {spec: row.state == MISFIT for row in rows for spec in row.specs}
    # Verbose, else pip does not show why a compiler failed.
    own = (['-e', os.path.relpath(_ROOT)] if
           (_ROOT / 'setup.py').is_file() else ['CHECKOUT_OF_MMHMC']) * (
               wanted.pop('mmhmc', None) is not None)
    mmcv = [s for s in wanted if _name(s) in DISTRIBUTIONS['mmcv']][-1:]
    others = [s for s in wanted if _name(s) not in DISTRIBUTIONS['mmcv']]
    replaced = [s for s in others if wanted[s]]
    # It is built with the torch that is there, so torch comes first.
    last = [s for s in others if not wanted[s] and _name(s) == 'compressai']
    added = [s for s in others if s not in (*replaced, *last)]
    tools = [
        spec for tool in map(_name, env.extra('build'))
        for spec in env.tried(tool) if not _fits(spec, env.version(tool))
    ] * bool(own or mmcv or last)
    add = ('install', '--no-build-isolation', '-c', 'installed.txt')
    freeze = env.pip('list', '--format=freeze') + ' > installed.txt'

    def pip(specs: list[str], *arguments: str) -> list[str]:
        index = [_INDEX + s.partition('+')[2] for s in specs if '+' in s]
        return [env.pip(*arguments, *index, *specs)] if specs else []

    return ' && '.join([
        *pip(tools, 'install'), *[freeze] * bool(added or last),
        *pip(added, *add), *pip(last, *add), *pip(replaced, *_FORCE),
        *_build_mmcv(env, mmcv), *pip(own, *_FORCE, '-v')
    ])


def _build_mmcv(env: Environment, specs: list[str]) -> list[str]:
    if not specs:
        return []
    name = _name(specs[0])
    others = [d for d in env.installed('mmcv') if d != name]
    # They replace Python's own flags, among which is -O3.
    flags = "MMCV_WITH_OPS=1 CFLAGS='-O3 -g0' CXXFLAGS='-O3 -g0' "
    flags += 'FORCE_CUDA=1 ' * bool(env.gpu)
    build = env.pip(*_FORCE, '--no-cache-dir', '--no-binary', name, *specs)
    remove = [env.pip('uninstall', '-y', *others)] if others else []
    return [*remove, flags + build]


def run(as_json: bool = False) -> int:
    """Examine the running interpreter and print the report.

    Args:
        as_json: Print one JSON document instead of a table.

    Returns:
        0 if everything needed is there, else 1.
    """
    if sys.version_info < (3, 10):
        print('Python 3.10 or newer is needed: make setup PYTHON=python3.11')
        return 1
    env = survey()
    rows = [Row('python', sys.version.split()[0], OK), *diagnose(env)]
    wrong = [row for row in rows if row.state in (MISSING, MISFIT)]
    fix, more = (
        command(env, some)
        for some in (wrong, [row for row in rows if row.state == OPTIONAL]))
    if as_json:
        rows = [asdict(row) for row in rows]
        print(
            json.dumps(dict(ok=not wrong, rows=rows, fix=fix, optional=more)))
        return 1 if wrong else 0
    print(*(f'{r.name:<22} {r.state:<13} {r.found}' for r in rows), sep='\n')
    if more:
        print(f'\nFor what is optional:\n  {more}')
    if not wrong:
        print('\nEverything needed is there.')
        return 0
    print(f'\n{len(wrong)} of {len(rows)} are not right. `make setup` makes a '
          'complete .venv in a checkout of mmhmc.')
    if fix:
        print(f'To repair this environment, after which ask again:\n  {fix}')
    return 1


if __name__ == '__main__':
    sys.exit(run(as_json='--json' in sys.argv[1:]))
