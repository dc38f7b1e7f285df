"""Docstrings in Markdown: what Sphinx would read is put in its form."""
import re
from typing import Any

import griffe

_ROLE = re.compile(r':(?:attr|class|data|func|meth|mod):`[~!]?([^`]+)`')
_BLOCK = re.compile(r'^( *)\.\. code-block:: (\w+)\n\n((?:\1 {4}.*\n?|\n)+)',
                    re.MULTILINE)


class Roles(griffe.Extension):
    """Turns ``:func:`name``` into code, and code-block into a fence."""

    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Rewrite the docstring of an object before it is parsed."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(text: str) -> str:
    """Rewrite what only Sphinx reads.

    Args:
        text: Docstring, without common indentation.
    """
    text = _BLOCK.sub(_fence, text)
    return _ROLE.sub(lambda found: f'`{found[1]}`', text)


def _fence(found: re.Match) -> str:
    indent, language, code = found.groups()
    lines = [
        indent + line[len(indent) + 4:] if line.strip() else ''
        for line in code.rstrip().split('\n')
    ]
    language = 'text' if language == 'none' else language
    return '\n'.join([f'{indent}```{language}', *lines, f'{indent}```', ''])
