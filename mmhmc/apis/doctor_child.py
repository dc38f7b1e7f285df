"""What ``mmhmc doctor`` runs in a child process; needs the standard library.

Writes a line for each name of its arguments before it is examined, and one
with what was found behind it: an import may end the process.
"""
import importlib
import importlib.util
import json
import os
import sys
from importlib.metadata import distributions, packages_distributions


def examine(name):
    """What a module says about itself; see ``EXAMINED`` of the doctor."""
    if name == 'metadata':
        return survey()
    if name == 'mmhmc::':
        return resolve_bases()
    module = importlib.import_module(name)
    facts = {'found': str(getattr(module, '__version__', ''))}
    if name == 'torch' and module.cuda.is_available():
        facts['gpu'] = module.cuda.get_device_name(0)
    if name == 'mmcv._ext':
        facts['found'] = f'CUDA: {module.get_compiling_cuda_version()}'
    if name == 'mmhmc.machine':
        gpu = ['cuda'] * sys.modules['torch'].cuda.is_available()
        chosen = [f'{d}: {module.choose_arithmetic(d)}' for d in ['cpu', *gpu]]
        facts['found'] = '; '.join(
            [*chosen, f'{module.free_cores()} cores free'])
    return facts


def survey():
    """Versions and requirements of all distributions, also by module."""
    known = {
        d.metadata['Name'].lower(): d
        for d in distributions() if d.metadata['Name']
    }
    versions = {name: d.version for name, d in known.items()}
    # Python 3.10 does not look into the file lists.
    suppliers = dict(zip(known, zip(known)))
    suppliers.update(packages_distributions())
    installed = {}
    for module, names in suppliers.items():
        names = sorted(map(str.lower, names))
        installed[module] = {name: versions[name] for name in names}
    requires = {name: d.requires or [] for name, d in known.items()}
    return dict(versions=versions, requires=requires, installed=installed)


def resolve_bases():
    """Packages of which mmengine resolves the bases of configs.

    Raises:
        FileNotFoundError: If it looks for one at a wrong place.
    """
    from mmengine.config.utils import MODULE2PACKAGE
    from mmengine.utils import get_installed_path

    importlib.import_module('mmhmc')
    scopes = [
        name for name in ('mmdet', 'mmseg', 'mmpretrain', 'mmhmc')
        if importlib.util.find_spec(name)
    ]
    for name in scopes:
        path = get_installed_path(MODULE2PACKAGE[name])
        if not os.path.isdir(path):  # upstream's mmengine
            raise FileNotFoundError(
                f'`{name}::` leads to {path}, which does not exist: install '
                f'{name} without -e')
        if not os.path.isdir(os.path.join(path, '.mim', 'configs')):
            raise FileNotFoundError(
                f'`{name}::` leads to {path}, which has no .mim/configs')
    bases = ', '.join(f'{name}::' for name in scopes)
    return {'found': f'config bases resolve: {bases}'}


for name in sys.argv[1:]:
    print('\ndoctor:', json.dumps([name, None]), flush=True)
    print('\ndoctor:', json.dumps([name, examine(name)]), flush=True)
