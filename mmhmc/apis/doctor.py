"""Say what is installed, what is missing, and the command that repairs it.

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
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

OK = 'ok'
MISSING = 'missing'
MISFIT = 'does not fit'
OPTIONAL = 'optional'

#: Versions that were tried together, by lineage. Which one is advised follows
#: from what is installed; what counts as fitting never does.
STACKS = {
    'onedl': {
        'torch': 'torch==2.11.0',
        'torchvision': 'torchvision==0.26.0',
        'numpy': 'numpy==2.2.*',
        'setuptools': 'setuptools>=70,<82',
        'opencv': '<4.13',
        'mmengine': 'onedl-mmengine==0.10.12',
        'mmcv': 'onedl-mmcv==2.3.6',
        'mmdet': 'onedl-mmdetection==3.5.1',
        'mmseg': 'onedl-mmsegmentation==1.4.2',
        'mmpretrain': 'onedl-mmpretrain==1.3.6',
    },
    'open-mmlab': {
        'torch': 'torch==2.1.2',
        'torchvision': 'torchvision==0.16.2',
        'numpy': 'numpy==1.26.4',
        'setuptools': 'setuptools<70',
        'opencv': '<4.11',
        'mmengine': 'mmengine==0.10.7',
        'mmcv': 'mmcv==2.1.0',
        'mmdet': 'mmdet==3.3.0',
        'mmseg': 'mmsegmentation==1.2.2',
        'mmpretrain': 'mmpretrain==1.2.0',
    },
}
#: The last compressai without an upper bound on numpy: fits both lineages.
COMPRESSAI = 'compressai==1.2.6'

#: Packages that only some uses need: what they bring, and the specs of
#: ``requirements/NAME.txt``.
EXTRAS = {
    'sample': ('the built-in data set', ('scikit-image', )),
    'evaluation':
    ('BD-rates and curves that zoom', ('bjontegaard==1.3.*', 'plotly==6.*')),
    'standard':
    ('HEVC, VVC, JPEG XL and AVIF',
     ('imageio-ffmpeg==0.8.*', 'pillow-jxl-plugin==1.3.*', 'pillow>=11.3')),
    'perceptual': ('LPIPS, FID, KID, DISTS and NIQE',
                   ('lpips==0.1.4', 'torchmetrics==1.9.0',
                    'torch-fidelity==0.4.0', 'pyiqa==0.1.16')),
    'training': ('Muon, an optimizer', ('pytorch_optimizer==4.1.0', )),
    'docs': ('the pages of docs/',
             ('mkdocs==1.6.1', 'mkdocs-material==9.7.7', 'mkdocstrings==1.0.*',
              'mkdocstrings-python==2.0.*')),
}

HOSTS = ('mmdet', 'mmseg', 'mmpretrain')
BUILD_TOOLS = ('setuptools', 'wheel', 'ninja', 'psutil')
#: What others build upon comes first. ``mmhmc::`` stands for the config bases
#: that mmengine resolves, see ``_IMPORT``.
IMPORTS = ('numpy', 'torch', 'torchvision', 'cv2', 'mmengine', 'mmcv',
           'mmcv._ext', 'pycocotools', *HOSTS, 'pytorch_msssim', 'compressai',
           'safetensors', 'mmhmc', 'mmhmc.machine', 'mmhmc.bitstream._rans',
           'mmhmc::')

_SURVEY = '''
import json
from importlib.metadata import distributions, packages_distributions

known = {d.metadata['Name'].lower(): d
         for d in distributions() if d.metadata['Name']}
print(json.dumps({
    'suppliers': packages_distributions(),
    'versions': {name: d.version for name, d in known.items()},
    'requires': {name: d.requires or [] for name, d in known.items()}}))
'''

_IMPORT = '''
import importlib, importlib.util, json, os, sys


def examine(name):
    if name == 'mmhmc::':
        return resolve_bases()
    module = importlib.import_module(name)
    facts = {'version': str(getattr(module, '__version__', ''))}
    if name == 'torch' and module.cuda.is_available():
        facts['gpu'] = module.cuda.get_device_name(0)
    if name == 'mmcv._ext':
        facts['cuda'] = module.get_compiling_cuda_version()
    if name == 'mmhmc.machine':
        facts['threads'] = module.free_cores()
        facts['arithmetic'] = {
            device: str(module.choose_arithmetic(device))
            for device in ('cpu', 'cuda')
            if device == 'cpu' or sys.modules['torch'].cuda.is_available()}
    return facts


def resolve_bases():
    import mmhmc
    from mmengine.config.utils import MODULE2PACKAGE
    from mmengine.utils import get_installed_path
    scopes = [name for name in ('mmdet', 'mmseg', 'mmpretrain', 'mmhmc')
              if importlib.util.find_spec(name)]
    for name in scopes:
        path = get_installed_path(MODULE2PACKAGE[name])
        if not os.path.isdir(path):  # upstream mmengine, editable install
            raise FileNotFoundError(
                f'`{name}::` leads to {path}, which does not exist')
        if not os.path.isdir(os.path.join(path, '.mim', 'configs')):
            raise FileNotFoundError(
                f'`{name}::` leads to {path}, which has no .mim/configs')
    return {'scopes': scopes}


for name in sys.argv[1:]:
    print('\\ndoctor:', json.dumps([name, None]), flush=True)
    print('\\ndoctor:', json.dumps([name, examine(name)]), flush=True)
'''


@dataclass(frozen=True)
class Row:
    """One line of the report.

    Args:
        name: What was looked at.
        found: What was found, in words.
        state: ``ok``, ``missing``, ``does not fit`` or ``optional`` (absent,
            and only some uses need it).
        fix: Command that repairs it, empty if there is nothing to repair.
    """
    name: str
    found: str
    state: str
    fix: str = ''


@dataclass(frozen=True)
class Import:
    """How an attempt to import a module ended.

    Args:
        facts: What the module said about itself.
        error: The exception's line, or what ended the process; empty if the
            import worked.
    """
    facts: dict = field(default_factory=dict)
    error: str = ''


@dataclass(frozen=True)
class Environment:
    """What one interpreter has, as seen from outside.

    Args:
        python: Path of the interpreter.
        suppliers: Distributions that supply each top-level module.
        versions: Version of each distribution, by its lower-case name.
        requires: Requirements of each distribution.
        imports: How importing each of ``IMPORTS`` ended.
    """
    python: str
    suppliers: dict[str, list[str]]
    versions: dict[str, str]
    requires: dict[str, list[str]]
    imports: dict[str, Import]

    def works(self, module: str) -> bool:
        """Whether a module can be imported."""
        return not self.imports[module].error

    def absent(self, module: str) -> bool:
        """Whether a module is not there, rather than broken."""
        return self.imports[module].error == _not_found(module)

    def distributions(self, module: str) -> list[str]:
        """Lower-case names of the distributions that supply a module."""
        names = {d.lower() for d in self.suppliers.get(module, [])}
        if not names and module in self.versions:
            return [module]  # Python 3.10 does not look into the file lists
        return sorted(names)

    def version(self, distribution: str) -> tuple[int, ...]:
        """Version as numbers, empty if the distribution is not there."""
        return _numbers(self.versions.get(distribution, ''))

    def describe(self, module: str) -> str:
        """Version of a module, and which distribution supplies it."""
        names = self.distributions(module)
        if not names:
            version = self.imports[module].facts.get('version', '')
            return f'{version} (no distribution)'.strip()
        return ', '.join(f'{self.versions[name]} ({name})' for name in names)

    @property
    def stack(self) -> dict[str, str]:
        """The tried versions nearest to what is installed."""
        modules = ('mmengine', 'mmcv', *HOSTS)
        names = [d for module in modules for d in self.distributions(module)]
        if names:
            upstream = not any(name.startswith('onedl-') for name in names)
        else:
            upstream = (1, ) <= self.version('numpy') < (2, )
        return STACKS['open-mmlab' if upstream else 'onedl']

    def pip(self, *arguments: str) -> str:
        """Command that runs this interpreter's pip."""
        python = self.python
        here = os.path.join(os.getcwd(), '')
        if python.startswith(here):
            python = python[len(here):]
        return shlex.join([python, '-m', 'pip', *arguments])

    def add(self, *specs: str) -> str:
        """Command that installs and changes nothing that is there."""
        freeze = self.pip('list', '--format=freeze')
        install = self.pip('install', '-c', 'installed.txt', *specs)
        return f'{freeze} > installed.txt && {install}'

    def replace(self, *specs: str) -> str:
        """Command that replaces these distributions and no other."""
        return self.pip('install', '--force-reinstall', '--no-deps', *specs)


def _not_found(module: str) -> str:
    return f"ModuleNotFoundError: No module named '{module}'"


def _numbers(version: str) -> tuple[int, ...]:
    public = version.split('+')[0]
    return tuple(int(n) for n in re.findall(r'\d+', public)[:3])


def _exception_line(stderr: str) -> str:
    """The line of the last traceback that names the exception."""
    lines = stderr.rstrip().splitlines()
    starts = [
        n for n, text in enumerate(lines) if text.startswith('Traceback')
    ]
    for line in lines[starts[-1] + 1:] if starts else ():
        if line and not line.startswith(' '):
            return line
    return lines[-1] if lines else ''


def try_imports(python: str,
                modules: tuple[str, ...] = IMPORTS,
                timeout: float = 60) -> dict[str, Import]:
    """Import modules in a child process, one after the other.

    A module that ends the process costs a new one for the modules after it,
    so a healthy environment needs a single child.

    Args:
        python: Path of the interpreter.
        modules: Modules to import.
        timeout: Seconds after which a child is given up.

    Returns:
        How each import ended.
    """
    results: dict[str, Import] = {}
    while todo := [m for m in modules if m not in results]:
        command = [python, '-W', 'ignore', '-c', _IMPORT, *todo]
        try:
            child = subprocess.run(
                command, capture_output=True, timeout=timeout)
        except subprocess.TimeoutExpired as expired:
            stdout = expired.stdout or b''
            error = f'not imported after {timeout:g} s'
        else:
            stdout = child.stdout
            error = _exception_line(child.stderr.decode(errors='replace'))
            if child.returncode < 0:
                error = f'the process died of signal {-child.returncode}'
        failed = Import(error=error or 'the process ended without a word')
        results[todo[0]] = failed
        for line in stdout.decode(errors='replace').splitlines():
            if line.startswith('doctor: '):
                name, facts = json.loads(line[len('doctor: '):])
                results[name] = failed if facts is None else Import(facts)
    return results


def survey(python: str = sys.executable, timeout: float = 60) -> Environment:
    """Look at what an interpreter has.

    Args:
        python: Path of the interpreter.
        timeout: Seconds after which an import is given up.

    Returns:
        What was found.
    """
    child = subprocess.run([python, '-W', 'ignore', '-c', _SURVEY],
                           stdout=subprocess.PIPE,
                           check=True)
    imports = try_imports(python, IMPORTS, timeout)
    return Environment(python, imports=imports, **json.loads(child.stdout))


def diagnose(env: Environment) -> list[Row]:
    """Judge an environment.

    Args:
        env: What ``survey`` found.

    Returns:
        One row per thing looked at, in the order in which to repair.
    """
    no_host = not any(env.works(host) for host in HOSTS)
    return [
        _package(env, 'numpy', env.stack['numpy']),
        _torch(env),
        _torchvision(env),
        _gpu(env),
        _opencv(env),
        _package(env, 'mmengine', env.stack['mmengine']),
        _compiler(env),
        _build_tools(env),
        _mmcv(env),
        _mmcv_ops(env),
        _package(
            env, 'pycocotools', needed=no_host or not env.absent('mmdet')),
        *(_host(env, host, needed=no_host) for host in HOSTS),
        _package(env, 'pytorch_msssim', 'pytorch-msssim'),
        _compressai(env),
        # Weights without pickles.
        _package(env, 'safetensors', needed=False),
        _mmhmc(env),
        _machine(env),
        _coder(env),
        _bases(env),
        *(_extra(env, name) for name in EXTRAS),
    ]


def _package(env: Environment,
             module: str,
             *specs: str,
             needed: bool = True) -> Row:
    """Judge a package of which any version that imports will do."""
    if env.works(module):
        return Row(module, env.describe(module), OK)
    if env.absent(module):
        fix = env.add(*(specs or (module, )))
        if needed:
            return Row(module, 'not installed', MISSING, fix)
        return Row(module, 'not installed; only some uses need it', OPTIONAL,
                   fix)
    return _broken(env, module, needed=needed)


def _broken(env: Environment,
            module: str,
            fix: str = '',
            needed: bool = True) -> Row:
    """Name the cause of a failed import, and what has to come before it."""
    error = env.imports[module].error
    package = module.split('.')[0]
    if not fix:
        pins = [f'{d}=={env.versions[d]}' for d in env.distributions(package)]
        # Repeating an installation brings the dependencies it lacks.
        incomplete = error.startswith('ModuleNotFoundError')
        fix = (env.add if incomplete else env.replace)(*(pins or [package]))
    for earlier in IMPORTS[:IMPORTS.index(module)]:
        causes = (_not_found(earlier), env.imports[earlier].error)
        if not env.works(earlier) and error in causes:
            fix = f'repair `{earlier}` first'
            break
    return Row(module, f'{env.describe(package)} fails: {error}',
               MISFIT if needed else OPTIONAL, fix)


def _torch(env: Environment) -> Row:
    row = _package(env, 'torch', env.stack['torch'], env.stack['torchvision'])
    if row.state == OK:
        major, minor = re.findall(r'\d+', row.found)[:2]
        if (int(major), int(minor)) < (2, 10):
            # CVE-2025-32434 (up to 2.5.1) and CVE-2026-24747.
            return replace(
                row,
                found=f'{row.found}; below 2.10 a .pth file from elsewhere '
                'can run code, so read only .safetensors from there')
    return row


def _torchvision(env: Environment) -> Row:
    error = env.imports['torchvision'].error
    if not env.works('torch'):
        return _package(env, 'torchvision', env.stack['torch'],
                        env.stack['torchvision'])
    torch = env.versions.get('torch') or env.imports['torch'].facts['version']
    # torchvision 0.(N+15).P belongs to torch 2.N.P
    major, minor, patch = (*_numbers(torch), 0, 0, 0)[:3]
    paired = (major, minor) >= (2, 1)
    spec = f'torchvision==0.{minor + 15}.{patch}' if paired else 'torchvision'
    if '+' in torch:
        fix = env.replace('--index-url', 'INDEX_OF_TORCH', spec)
        fix += f'  # INDEX_OF_TORCH: where torch {torch} came from'
    else:
        fix = env.replace(spec)
    if env.absent('torchvision'):
        return Row('torchvision', 'not installed', MISSING, fix)
    found = env.describe('torchvision')
    if 'torchvision::' in error:
        return Row('torchvision',
                   f'{found} is of another build than torch {torch}: {error}',
                   MISFIT, fix)
    requires = '\n'.join(env.requires.get('torchvision', []))
    pin = re.search(r'(?m)^torch\s*\(?==\s*([\d.]+)', requires)
    if pin and _numbers(pin[1]) != _numbers(torch):
        return Row('torchvision',
                   f'{found} is made for torch {pin[1]}, not {torch}', MISFIT,
                   fix)
    return _package(env, 'torchvision', spec)


def _gpu(env: Environment) -> Row:
    if not env.works('torch'):
        return Row('GPU', 'unknown while torch does not import', OPTIONAL)
    gpu = env.imports['torch'].facts.get('gpu')
    return Row('GPU', gpu or 'torch sees none: everything runs on the CPU',
               OK if gpu else OPTIONAL)


def _opencv(env: Environment) -> Row:
    below = env.stack['opencv']
    if env.absent('cv2'):
        return _package(env, 'cv2', f'opencv-python{below}')
    names, found = env.distributions('cv2'), env.describe('cv2')
    versions = {env.version(name) for name in names}
    fix = env.replace(*(f'{name}{below}' for name in names))
    if any(version >= (4, 13) for version in versions):
        return Row('cv2', f'{found}: 4.13 and above behave differently',
                   MISFIT, fix)
    if len(versions) > 1:
        return Row('cv2', f'{found} overwrite each other: one version, please',
                   MISFIT, fix)
    return _package(env, 'cv2')


def _ops_work(env: Environment) -> bool:
    """Whether mmcv's ops load, and run where torch would run them."""
    cuda = env.imports['mmcv._ext'].facts.get('cuda')
    gpu = env.imports['torch'].facts.get('gpu')
    return env.works('mmcv._ext') and not (gpu and cuda == 'not available')


def _compiler(env: Environment) -> Row:
    commands = (os.environ.get('CXX') or 'c++', 'g++', 'clang++')
    path = next(filter(None, map(shutil.which, commands)), None)
    if path:
        return Row('C++ compiler', path, OK)
    needed = not (_ops_work(env) and env.works('compressai'))
    return Row('C++ compiler', 'none; building mmcv or compressai needs one',
               MISSING if needed else OPTIONAL, 'apt-get install g++')


def _build_tools(env: Environment) -> Row:
    """Matter only while mmcv has to be built."""
    wanted = env.stack['setuptools']
    low, high = (70, 82) if '<82' in wanted else (0, 70)
    fix = env.pip('install', wanted, *BUILD_TOOLS[1:])
    missing = [name for name in BUILD_TOOLS if name not in env.versions]
    found = 'setuptools ' + env.versions.get('setuptools', 'not installed')
    if _ops_work(env):
        return Row('build tools', f'{found}; nothing to build', OK)
    if missing:
        return Row('build tools', f'to build mmcv: no {", ".join(missing)}',
                   MISSING, fix)
    if not (low, ) <= env.version('setuptools') < (high, ):
        return Row('build tools', f'{found}; building mmcv needs {wanted}',
                   MISFIT, fix)
    return Row('build tools', found, OK)


def _build_mmcv(env: Environment, *variables: str, keep: bool = True) -> str:
    """Command that builds mmcv with its ops, ``keep``ing its version."""
    spec = env.stack['mmcv']
    name = spec.split('==')[0]
    if keep and name in env.versions:
        spec = f'{name}=={env.versions[name]}'
    others = [d for d in env.distributions('mmcv') if d != name]
    remove = env.pip('uninstall', '-y', *others) + ' && ' if others else ''
    # They may replace Python's own, among which is the optimisation.
    compiler = "CFLAGS='-O3 -g0' CXXFLAGS='-O3 -g0'"
    flags = ' '.join([f'MMCV_WITH_OPS=1 {compiler}', *variables])
    build = env.replace('--no-build-isolation', '--no-cache-dir',
                        '--no-binary', name, spec)
    return f'{remove}{flags} {build}'


def _mmcv(env: Environment) -> Row:
    if env.absent('mmcv'):
        return Row('mmcv', 'not installed', MISSING, _build_mmcv(env))
    return _package(env, 'mmcv')


def _mmcv_ops(env: Environment) -> Row:
    name = 'mmcv._ext'
    if env.absent(name):
        return Row(name, 'mmcv was installed without its compiled ops',
                   MISSING, _build_mmcv(env))
    if not env.works(name):
        return _broken(env, name, _build_mmcv(env))
    if not _ops_work(env):
        return Row(name, 'built for the CPU only, but torch sees a GPU',
                   MISFIT, _build_mmcv(env, 'FORCE_CUDA=1'))
    return Row(name, f'CUDA: {env.imports[name].facts["cuda"]}', OK)


def _host(env: Environment, host: str, needed: bool) -> Row:
    error = env.imports[host].error
    if error.startswith('AssertionError: MMCV=='):
        return Row(host, f'{env.describe(host)} refuses mmcv: {error}', MISFIT,
                   _build_mmcv(env, keep=False))
    return _package(
        env, host, env.stack[host], needed=needed or not env.absent(host))


def _compressai(env: Environment) -> Row:
    row = _judge_compressai(env)
    if COMPRESSAI.split('==')[0] not in row.fix:
        return row
    # Alone, pip would fetch another torch to build it with.
    fix = row.fix.replace(' install ', ' install --no-build-isolation ')
    tools = ('setuptools', 'wheel', 'pybind11')
    lacking = [tool for tool in tools if tool not in env.versions]
    if lacking:
        fix = f'{env.pip("install", *lacking)} && {fix}'
    return replace(row, fix=fix)


def _judge_compressai(env: Environment) -> Row:
    requires = env.requires.get('compressai', [])
    bounds = [r for r in requires if re.match(r'numpy\b.*<\s*2', r)]
    if not bounds or env.version('numpy') < (2, ):
        return _package(env, 'compressai', COMPRESSAI)
    return Row(
        'compressai', f'{env.describe("compressai")} demands {bounds[0]}, '
        f'numpy is {env.versions["numpy"]}: pip may take numpy back', MISFIT,
        env.replace(COMPRESSAI))


def _extra(env: Environment, extra: str) -> Row:
    """Judge by what is installed: importing all of them takes long."""
    brings, specs = EXTRAS[extra]
    lacking = []
    for spec in specs:
        name, _, least = spec.partition('>=')
        version = env.version(name.partition('==')[0])
        if not version or version < _numbers(least):
            lacking.append(spec)
    if not lacking:
        return Row(extra, f'for {brings}', OK)
    names = ', '.join(re.split('[=>]', spec)[0] for spec in lacking)
    return Row(extra, f'for {brings}: no {names}', OPTIONAL, env.add(*lacking))


def _install_mmhmc(env: Environment, *options: str) -> str:
    root = Path(__file__).resolve().parents[2]
    if (root / 'setup.py').is_file():
        source = os.path.relpath(root)
    else:  # installed from a wheel
        options, source = ('--force-reinstall', ), 'CHECKOUT_OF_MMHMC'
    return env.pip('install', '--no-deps', '--no-build-isolation', *options,
                   source)


def _mmhmc(env: Environment) -> Row:
    if env.works('mmhmc'):
        return Row('mmhmc', env.describe('mmhmc'), OK)
    fix = _install_mmhmc(env, '-e')
    if env.absent('mmhmc'):
        return Row('mmhmc', 'not installed', MISSING, fix)
    return _broken(env, 'mmhmc', fix)


def _machine(env: Environment) -> Row:
    """What is chosen where lower precision is allowed."""
    name, error = 'mmhmc.machine', env.imports['mmhmc.machine'].error
    for first in ('mmhmc', 'torch'):
        if not env.works(first):
            return Row(name, error, OPTIONAL, f'repair `{first}` first')
    if error:
        return Row(name, error, MISFIT, 'unset MMHMC_COMPUTE')
    facts = env.imports[name].facts
    chosen = [f'{key}: {text}' for key, text in facts['arithmetic'].items()]
    return Row(name, '; '.join([*chosen, f'{facts["threads"]} cores free']),
               OK)


def _coder(env: Environment) -> Row:
    """Without it the coder in Python makes the same files, slowly."""
    name = 'mmhmc.bitstream._rans'
    error = env.imports[name].error
    if not error:
        return Row(name, 'the entropy coder is compiled', OK)
    for first in ('mmhmc', 'torch'):
        if not env.works(first):
            return Row(name, error, OPTIONAL, f'repair `{first}` first')
    # A compiler's failure shows in pip's verbose output only.
    fix = (
        env.pip('install', 'setuptools', 'wheel', 'pybind11') + ' && ' +
        _install_mmhmc(env, '-v', '-e'))
    return Row(name, f'the slow coder in Python serves: {error}', OPTIONAL,
               fix)


def _bases(env: Environment) -> Row:
    """``import mmhmc`` lets mmengine resolve the bases of every package."""
    name, error = 'mmhmc::', env.imports['mmhmc::'].error
    if not error:
        scopes = env.imports[name].facts['scopes']
        bases = ', '.join(f'{scope}::' for scope in scopes)
        return Row(name, f'config bases resolve: {bases}', OK)
    for first in ('mmengine', 'mmhmc'):
        if not env.works(first):
            return Row(name, error, MISFIT, f'repair `{first}` first')
    options = [] if 'does not exist' in error else ['-e']
    return Row(name, error, MISFIT, _install_mmhmc(env, *options))


def _print_table(rows: list[Row]) -> None:
    try:
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        for row in rows:
            print(f'{row.name:<15} {row.state:<13} {row.found}')
        return
    colours = {OK: 'green', MISSING: 'red', MISFIT: 'red', OPTIONAL: 'yellow'}
    table = Table('name', 'state', 'found', box=box.SIMPLE)
    for row in rows:
        table.add_row(
            Text(row.name, no_wrap=True),
            Text(row.state, colours[row.state], no_wrap=True), Text(row.found))
    Console().print(table)


def run(as_json: bool = False) -> int:
    """Examine the running interpreter and print the report.

    Args:
        as_json: Print one JSON document instead of a table.

    Returns:
        0 if everything needed is there, else 1.
    """
    version = sys.version.split()[0]
    if sys.version_info >= (3, 10):
        rows = [Row('python', version, OK), *diagnose(survey())]
    else:
        rows = [
            Row('python', f'{version}; 3.10 or newer is needed', MISFIT,
                'make setup PYTHON=python3.11')
        ]
    wrong = sum(row.state in (MISSING, MISFIT) for row in rows)
    if as_json:
        document = {'ok': not wrong, 'rows': [asdict(row) for row in rows]}
        print(json.dumps(document, indent=2))
        return 1 if wrong else 0
    _print_table(rows)
    # Outside the table, so that a command stays on one line.
    for row in rows:
        if row.fix and row.state != OK:
            note = ' (optional)' if row.state == OPTIONAL else ''
            print(f'{row.name}{note}:\n  {row.fix}')
    if not wrong:
        print('Everything needed is there.')
        return 0
    print(f'\n{wrong} of {len(rows)} are not right. Repair from the top, then '
          'ask again; or let\n`make setup` make a complete .venv in a '
          'checkout of mmhmc.')
    return 1


if __name__ == '__main__':
    sys.exit(run(as_json='--json' in sys.argv[1:]))
