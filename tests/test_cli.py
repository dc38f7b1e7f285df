import ast
import json
from pathlib import Path

import pytest

from mmhmc import cli
from mmhmc.apis import doctor
from mmhmc.version import __version__


def nothing_installed(python: str = 'python') -> doctor.Environment:
    error = "ModuleNotFoundError: No module named '{}'"
    imports = {
        name: doctor.Import(error=error.format(name))
        for name in doctor.IMPORTS
    }
    return doctor.Environment(python, {}, {}, {}, imports)


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


def test_doctor_prints_every_command_on_one_line(monkeypatch, capsys):
    monkeypatch.setattr(doctor, 'survey', nothing_installed)
    assert cli.main(['doctor']) == 1
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    for row in doctor.diagnose(nothing_installed()):
        assert not row.fix or row.fix in lines


def test_version_option_prints_the_version_of_the_package(capsys):
    with pytest.raises(SystemExit, match='0'):
        cli.main(['--version'])
    assert capsys.readouterr().out.strip() == __version__


def test_unknown_command_is_refused_with_the_known_ones(capsys):
    with pytest.raises(SystemExit, match='2'):
        cli.main(['docter'])
    assert 'choose from' in capsys.readouterr().err


@pytest.mark.parametrize('module', [cli, doctor])
def test_module_imports_only_the_standard_library_and_the_version(module):
    tree = ast.parse(Path(module.__file__).read_text())
    imported = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module)
    assert imported <= {
        '__future__', 'argparse', 'collections.abc', 'dataclasses', 'json',
        'mmhmc.version', 'os', 'pathlib', 're', 'shlex', 'shutil',
        'subprocess', 'sys'
    }
