"""Everything public is documented, in the form that the project keeps."""
import ast
import re
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / 'mmhmc'
MODULES = [
    path for path in sorted(PACKAGE.rglob('*.py'))
    if '.mim' not in path.parts and (
        path.name == '__init__.py' or not path.name.startswith('_'))
]
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

#: A summary that begins so says what is done rather than what is returned.
IMPERATIVES = set(
    'Build Check Code Compare Compute Convert Copy Cut Decode Do Download '
    'Encode Entropy-code Fetch Fill Find List Load Look Make Mix Multiply '
    'Open Pack Predict Put Quantise Read Run Split Take Train Write'.split())


def findings(check):
    """What a check finds in all modules, a line each."""
    return '\n'.join(f'{path.relative_to(PACKAGE.parent)}:{line}'
                     for path in MODULES for line in check(path))


def public(body, owner=None):
    """Public classes and functions of a body, with the class they are in."""
    for node in body:
        if isinstance(node, (ast.If, ast.Try)):
            yield from public(node.body, owner)
        elif getattr(node, 'name', '_').startswith('_'):
            continue
        elif isinstance(node, ast.ClassDef):
            yield node, owner
            yield from public(node.body, node)
        elif isinstance(node, DEFINITIONS):
            yield node, owner


@cache
def parse(path):
    return ast.parse(path.read_text())


def definitions(path, kinds):
    return [(node, owner) for node, owner in public(parse(path).body)
            if isinstance(node, kinds)]


def section(docstring, name):
    """Lines of a section, None if there is none."""
    found = re.search(rf'^{name}:\n((?:    .*\n?|\n)+)', docstring or '',
                      re.MULTILINE)
    return found and found[1]


def named_in(docstring, name='Args'):
    """Names that a section explains."""
    entries = re.findall(r'^    (\*{0,2}\w+(?:, \*{0,2}\w+)*):',
                         section(docstring, name) or '', re.MULTILINE)
    return {word.strip(' *') for entry in entries for word in entry.split(',')}


def parameters(function):
    """Names of what a caller gives."""
    args = function.args
    names = [a.arg for a in args.posonlyargs + args.args + args.kwonlyargs]
    names += [a.arg for a in (args.vararg, args.kwarg) if a]
    return {n for n in names if n not in ('self', 'cls') and n[0] != '_'}


def raised(node):
    """Names of the exceptions that a function itself raises."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (*DEFINITIONS, ast.ClassDef, ast.Lambda)):
            continue
        if isinstance(child, ast.Raise) and isinstance(child.exc, ast.Call):
            yield ast.unparse(child.exc.func).split('.')[-1]
        yield from raised(child)


def is_dataclass(node):
    return any('dataclass' in ast.unparse(d) for d in node.decorator_list)


def constructor(node):
    """``__init__`` of a class, None if it has none of its own."""
    return next((f for f in node.body
                 if isinstance(f, DEFINITIONS) and f.name == '__init__'), None)


# Each check gives lines: where it is, its name, and what is wrong with it.


def without_docstring(path):
    if not ast.get_docstring(parse(path)):
        yield '1 has no docstring'
    for node, _ in definitions(path, (*DEFINITIONS, ast.ClassDef)):
        if not ast.get_docstring(node):
            yield f'{node.lineno} {node.name} has no docstring'


def unexplained_in_constructors(path):
    for node, _ in definitions(path, ast.ClassDef):
        wanted, init = set(), constructor(node)
        if init is not None:
            wanted = parameters(init)
        elif is_dataclass(node):
            wanted = {
                field.target.id
                for field in node.body if isinstance(field, ast.AnnAssign)
                and not field.target.id.startswith('_')
            }
        left = wanted - named_in(ast.get_docstring(node))
        if left:
            yield f'{node.lineno} {node.name} does not explain {sorted(left)}'


def explained_in_part(path):
    for node, _ in definitions(path, DEFINITIONS):
        docstring = ast.get_docstring(node)
        if section(docstring, 'Args') is None:
            continue
        differing = parameters(node) ^ named_in(docstring)
        if differing:
            yield (f'{node.lineno} {node.name} explains others than it takes: '
                   f'{sorted(differing)}')


def raised_in_silence(path):
    for node, owner in definitions(path, (*DEFINITIONS, ast.ClassDef)):
        function, holders = node, [node, owner]
        if isinstance(node, ast.ClassDef):
            function = constructor(node)
        if function is None:
            continue
        told = ''.join(
            section(ast.get_docstring(one), 'Raises') or '' for one in holders
            if one is not None)
        refers = re.match('(See|As) ', ast.get_docstring(node) or '')
        left = {
            name
            for name in raised(function)
            if name[0].isupper() and name not in told and not refers
        }
        if left:
            yield (f'{node.lineno} {node.name} does not say that it raises '
                   f'{sorted(left)}')


def returned_in_silence(path):
    for node, _ in definitions(path, DEFINITIONS):
        docstring = ast.get_docstring(node) or ''
        returns = node.returns is not None and \
            ast.unparse(node.returns) != 'None'
        does = docstring.split(' ')[0] in IMPERATIVES
        told = any(section(docstring, s) for s in ('Returns', 'Yields'))
        if returns and does and section(docstring, 'Args') and not told:
            yield f'{node.lineno} {node.name} does not say what it returns'


def test_everything_public_has_a_docstring():
    found = findings(without_docstring)
    assert not found, found


def test_arguments_of_constructors_are_all_explained():
    found = findings(unexplained_in_constructors)
    assert not found, found


def test_arguments_are_explained_all_or_not_at_all():
    found = findings(explained_in_part)
    assert not found, found


def test_what_is_raised_is_told():
    found = findings(raised_in_silence)
    assert not found, found


def test_what_is_returned_is_told():
    found = findings(returned_in_silence)
    assert not found, found


@pytest.mark.parametrize('source, check, line', [
    ('def f():\n    pass', without_docstring, '1 has no docstring'),
    ('"""m"""\ndef f():\n    pass', without_docstring, '2 f has no docstring'),
    ('"""m"""\nclass A:\n    """a"""\n    def __init__(self, x):\n'
     '        pass', unexplained_in_constructors,
     "2 A does not explain ['x']"),
    ('def f(x, y):\n    """Do.\n\n    Args:\n        x: It.\n    """',
     explained_in_part, "1 f explains others than it takes: ['y']"),
    ('def f():\n    """Do."""\n    raise ValueError("x")', raised_in_silence,
     "1 f does not say that it raises ['ValueError']"),
    ('def f(x) -> int:\n    """Do it.\n\n    Args:\n        x: It.\n    """',
     returned_in_silence, '1 f does not say what it returns'),
])
def test_what_is_not_told_is_found(source, check, line, tmp_path):
    path = tmp_path / 'module.py'
    path.write_text(source)
    assert line in [*check(path)]
