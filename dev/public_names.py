"""Write the table of all public names into the page of the API.

Each name stands with the first sentence of its docstring, or of the comment
above a constant. `--check` changes nothing and ends with status 1 if the page
is out of date.
"""
import argparse
import inspect
import re
import sys
from importlib import import_module
from pathlib import Path

PAGE = Path(__file__).parents[1] / 'docs/api/index.md'
BEGIN, END = '<!-- names -->\n', '<!-- end of names -->'
PACKAGES = ('apis', 'apis.benchmark', 'codecs', 'codecs.standard',
            'codecs.layers', 'models', 'adapters', 'engine', 'losses',
            'refinement', 'evaluation', 'datasets', 'visualization',
            'bitstream', 'structures', 'functional', 'zoo')


def main(argv=None) -> None:
    """Write the page, or see whether it is as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--check', action='store_true')
    args = parser.parse_args(argv)
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    new = f'{before}{BEGIN}{name_tables()}{END}{after}'
    if args.check and new != text:
        sys.exit(f'{PAGE.name} is out of date: run `python {sys.argv[0]}`.')
    PAGE.write_text(new)


def name_tables() -> str:
    """A heading and a table for each package."""
    return ''.join(_table(f'mmhmc.{name}') for name in PACKAGES)


def _table(package: str) -> str:
    module = import_module(package)
    names = getattr(module, '__all__', None) or _own_classes(module)
    rows = ''.join(f'| `{name}` | {first_sentence(package, name)} |\n'
                   for name in sorted(names))
    return f'\n## {package}\n\n| name | what it is |\n|---|---|\n{rows}\n'


def _own_classes(module) -> list[str]:
    return [
        name for name, value in vars(module).items() if inspect.isclass(value)
        and value.__module__ == module.__name__ and not name.startswith('_')
    ]


def first_sentence(package: str, name: str) -> str:
    """First sentence of a name's docstring, or of a constant's comment.

    Raises:
        ValueError: If there is none.
    """
    value = getattr(import_module(package), name)
    described = inspect.isclass(value) or inspect.isfunction(value)
    text = inspect.getdoc(value) if described else _comment(package, name)
    sentence = ' '.join((text or '').split('\n\n')[0].split())
    if not sentence:
        raise ValueError(f'`{package}.{name}` has no docstring.')
    return re.sub(r':\w+:`([^`]+)`', r'`\1`', sentence).replace('|', '\\|')


def _comment(package: str, name: str) -> str:
    """The lines `#: ...` above a constant, in the module that defines it."""
    # A constant may come from another package.
    folders = [
        Path(import_module(name).__file__).parent
        for name in (package, 'mmhmc')
    ]
    for path in [one for f in folders for one in sorted(f.rglob('*.py'))]:
        found = re.search(rf'((?:^#:.*\n)+)^{name}\b.* = ', path.read_text(),
                          re.MULTILINE)
        if found:
            return re.sub(r'^#: ?', '', found[1], flags=re.MULTILINE)
    return ''


if __name__ == '__main__':
    main()
