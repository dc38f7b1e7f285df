"""Everything public is documented, in the form that the project keeps."""
import ast
import re
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

every_module = pytest.mark.parametrize(
    'path', MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))


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


def definitions(path, kinds):
    tree = ast.parse(path.read_text())
    return [(node, owner) for node, owner in public(tree.body)
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


@every_module
def test_everything_public_has_a_docstring(path):
    assert ast.get_docstring(ast.parse(path.read_text())), path
    silent = [
        f'{node.lineno} {node.name}'
        for node, _ in definitions(path, (*DEFINITIONS, ast.ClassDef))
        if not ast.get_docstring(node)
    ]
    assert silent == []


@every_module
def test_arguments_of_constructors_are_all_explained(path):
    lacking = {}
    for node, _ in definitions(path, ast.ClassDef):
        wanted, init = set(), constructor(node)
        docstring = ast.get_docstring(node)
        if init is not None:
            wanted = parameters(init)
        elif is_dataclass(node):
            wanted = {
                field.target.id
                for field in node.body if isinstance(field, ast.AnnAssign)
                and not field.target.id.startswith('_')
            }
        left = wanted - named_in(docstring)
        if left:
            lacking[node.name] = left
    assert lacking == {}


@every_module
def test_arguments_are_explained_all_or_not_at_all(path):
    wrong = {}
    for node, _ in definitions(path, DEFINITIONS):
        docstring = ast.get_docstring(node)
        if section(docstring, 'Args') is None:
            continue
        differing = parameters(node) ^ named_in(docstring)
        if differing:
            wrong[node.name] = differing
    assert wrong == {}


@every_module
def test_what_is_raised_is_told(path):
    silent = {}
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
            silent[node.name] = left
    assert silent == {}


@every_module
def test_what_is_returned_is_told(path):
    silent = []
    for node, _ in definitions(path, DEFINITIONS):
        docstring = ast.get_docstring(node) or ''
        returns = node.returns is not None and \
            ast.unparse(node.returns) != 'None'
        does = docstring.split(' ')[0] in IMPERATIVES
        told = any(section(docstring, s) for s in ('Returns', 'Yields'))
        if returns and does and section(docstring, 'Args') and not told:
            silent.append(node.name)
    assert silent == []


@pytest.mark.parametrize(
    'source, wrong',
    [('def f():\n    pass', test_everything_public_has_a_docstring),
     ('"""m"""\nclass A:\n    """a"""\n    def __init__(self, x):\n'
      '        pass', test_arguments_of_constructors_are_all_explained),
     ('def f(x, y):\n    """Do.\n\n    Args:\n        x: It.\n    """',
      test_arguments_are_explained_all_or_not_at_all),
     ('def f():\n    """Do."""\n    raise ValueError("x")',
      test_what_is_raised_is_told),
     ('def f(x) -> int:\n    """Do it.\n\n    Args:\n        x: It.\n    """',
      test_what_is_returned_is_told)])
def test_what_is_not_told_is_found(source, wrong, tmp_path):
    path = tmp_path / 'module.py'
    path.write_text(source)
    with pytest.raises(AssertionError):
        wrong(path)
