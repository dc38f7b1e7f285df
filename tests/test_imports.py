"""Imports point one way, and cost nothing until they are needed."""
import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / 'mmhmc'
MODULES = sorted(PACKAGE.rglob('*.py'))

#: docs/architecture.md: a layer imports the ones before it, and itself.
LAYERS = [
    {
        'version', 'compat', 'file_paths', 'former_names', 'machine',
        'progress', 'whole_files'
    },
    {'zoo'},
    {'checkpoints'},
    {'registry'},
    {'part_weights'},
    {'functional', 'structures', 'input_norm'},
    {'bitstream'},
    {'codecs', 'losses', 'datasets'},
    {'adapters'},
    {'models'},
    {'engine', 'evaluation', 'refinement'},
    {'visualization'},
    {'apis'},
    {'cli'},
    {'__main__'},
]
LAYER_OF = {name: i for i, layer in enumerate(LAYERS) for name in layer}

#: Needed by what uses them only, so never at module level.
LAZY = {'compressai', 'mmdet', 'mmseg', 'mmpretrain', 'pytorch_msssim'}


def part_of(path):
    """First name below the package, None for the package itself."""
    name = path.relative_to(PACKAGE).parts[0].removesuffix('.py')
    return None if name == '__init__' else name


def imported(path, tree):
    """Absolute names of the modules that a tree imports."""
    package = ['mmhmc', *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[:len(package) - node.level + 1] if node.level \
                else []
            module = '.'.join([*base, *filter(None, [node.module])])
            # `from mmhmc import codecs` imports mmhmc.codecs.
            yield from (f'{module}.{alias.name}' for alias in node.names)


def at_module_level(tree):
    """The tree without what runs only when something is called."""

    class Prune(ast.NodeTransformer):

        def visit_FunctionDef(self, node):
            return None

        visit_AsyncFunctionDef = visit_Lambda = visit_FunctionDef

    return Prune().visit(tree)


def parse(path):
    return ast.parse(path.read_text())


def modules_that_import(names, tree_of=parse):
    """Lines that say which modules import any of some packages."""
    found = []
    for path in MODULES:
        roots = {n.split('.')[0] for n in imported(path, tree_of(path))}
        found += [
            f'{path.relative_to(PACKAGE)} imports {name}'
            for name in sorted(roots & names)
        ]
    return '\n'.join(found)


def backwards(path):
    """Lines that say what a module imports of its own layer or later ones."""
    own = part_of(path)
    # mmhmc/__init__.py names everything, and imports on demand.
    for name in imported(path, parse(path)) if own else ():
        root, part = [*name.split('.'), None][:2]
        # The package itself, and what has no layer, come last.
        layer = LAYER_OF.get(part, len(LAYERS))
        if root == 'mmhmc' and part != own and layer >= LAYER_OF[own]:
            yield f'{path.relative_to(PACKAGE)} imports {name}'


def test_imports_point_one_way():
    found = '\n'.join(line for path in MODULES for line in backwards(path))
    assert not found, found


@pytest.mark.parametrize('code, names', [
    ('from ..models import CodecModel', ['mmhmc.models.CodecModel']),
    ('def f():\n    import mmhmc.losses', ['mmhmc.losses']),
    ('import mmhmc, mmhmc.nothing', ['mmhmc', 'mmhmc.nothing']),
    ('from mmhmc import bitstream\nfrom .base import ImageCodec', []),
])
def test_imports_of_later_layers_are_found(code, names, tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), 'PACKAGE', tmp_path)
    path = tmp_path / 'codecs/mine.py'
    path.parent.mkdir()
    path.write_text(code)
    assert [*backwards(path)] == [f'codecs/mine.py imports {n}' for n in names]


def test_hosts_and_codecs_are_not_imported_at_module_level():
    found = modules_that_import(LAZY,
                                lambda path: at_module_level(parse(path)))
    assert not found, found


def test_package_imports_nothing_of_tests_tools_or_projects():
    found = modules_that_import(
        {'tests', 'tools', 'projects', 'conftest', 'setup'})
    assert not found, found


@pytest.mark.parametrize('name', ['registry.py', 'version.py'])
def test_registry_imports_mmengine_only(name):
    path = PACKAGE / name
    # The one thing that mmengine has to be told before it loads weights.
    names = {*imported(path, parse(path))} - {
        'mmhmc.checkpoints.use_for_mmengine', 'mmhmc.former_names.current_type'
    }
    assert {n.split('.')[0] for n in names} <= {'mmengine'}


def test_every_part_has_its_layer():
    parts = {part_of(path) for path in MODULES} - {None}
    assert parts <= set(LAYER_OF)


def test_nothing_is_called_utils():
    names = {
        part
        for path in MODULES
        for part in path.relative_to(PACKAGE).with_suffix('').parts
    }
    assert not names & {'utils', 'util', 'misc', 'common', 'helpers'}


def loaded_after(code):
    """Top-level modules that a fresh interpreter has after some code."""
    result = subprocess.run([
        sys.executable, '-W', 'ignore', '-c',
        f'import sys\n{code}\nprint(*{{name.split(".")[0] for name in '
        'sys.modules})'
    ],
                            capture_output=True,
                            text=True,
                            check=True,
                            cwd=PACKAGE.parent)
    return set(result.stdout.split())


HELP = '''
from contextlib import suppress
from mmhmc.cli import main
with suppress(SystemExit):
    main(["--help"])
'''


@pytest.mark.parametrize(
    'code', ['import mmhmc; dir(mmhmc)', HELP], ids=['import', 'help'])
def test_importing_the_package_loads_next_to_nothing(code):
    loaded = loaded_after(code)
    assert 'mmhmc' in loaded
    assert not loaded & (LAZY | {'mmengine', 'numpy', 'torch', 'torchvision'})


def test_codecs_and_hosts_are_loaded_when_they_are_used():
    everything = ', '.join(f'mmhmc.{part}' for part in sorted(LAYER_OF) if any(
        part_of(path) == part for path in MODULES))
    loaded = loaded_after(f'import {everything}')
    assert 'torch' in loaded
    assert not loaded & (LAZY | {'torch_geometric'})
