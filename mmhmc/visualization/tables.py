"""One table as Markdown, LaTeX or HTML, its text escaped for each."""
import html
from collections.abc import Sequence
from dataclasses import dataclass

_LATEX = {
    '\\': r'\textbackslash{}',
    '~': r'\textasciitilde{}',
    '^': r'\textasciicircum{}',
    '−': '$-$',
    **{
        sign: '\\' + sign
        for sign in '&%$#_{}'
    }
}


@dataclass(frozen=True)
class Table:
    """Text in rows and columns; the first column names the rows.

    Args:
        header: Names of the columns.
        rows: Text of each cell; each row as long as the header.
        caption: What the table shows; may be empty.

    Raises:
        ValueError: If a row is not as long as the header.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ''

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.header):
                raise ValueError(f'Row {list(row)} has {len(row)} cells, the '
                                 f'header {len(self.header)}.')

    def to_markdown(self) -> str:
        """A table of GitHub's Markdown, numbers to the right."""
        header, *rows = ([_escape_markdown(cell) for cell in row]
                         for row in (self.header, *self.rows))
        columns = zip(header, *rows)
        widths = [max(map(len, (*column, '---'))) for column in columns]
        rule = [
            '-' * width if number == 0 else '-' * (width - 1) + ':'
            for number, width in enumerate(widths)
        ]
        lines = [
            '| ' + ' | '.join(
                cell.ljust(width) if number == 0 else cell.rjust(width)
                for number, (cell, width) in enumerate(zip(row, widths))) +
            ' |' for row in (header, rule, *rows)
        ]
        caption = [_escape_markdown(self.caption), ''] if self.caption else []
        return '\n'.join([*caption, *lines]) + '\n'

    def to_latex(self) -> str:
        """A ``table`` with the rules of the package ``booktabs``."""
        header, *rows = (' & '.join(map(_escape_latex, row)) + r' \\'
                         for row in (self.header, *self.rows))
        caption = [rf'\caption{{{_escape_latex(self.caption)}}}'
                   ] if self.caption else []
        return '\n'.join([
            r'\begin{table}', r'\centering', *caption,
            rf'\begin{{tabular}}{{l{"r" * (len(self.header) - 1)}}}',
            r'\toprule', header, r'\midrule', *rows, r'\bottomrule',
            r'\end{tabular}', r'\end{table}', ''
        ])

    def to_html(self) -> str:
        """A ``<table>``."""
        caption = (f'<caption>{html.escape(self.caption)}</caption>'
                   if self.caption else '')
        head = ''.join(f'<th>{html.escape(cell)}</th>' for cell in self.header)
        body = '\n'.join('<tr>' + ''.join(f'<td>{html.escape(cell)}</td>'
                                          for cell in row) + '</tr>'
                         for row in self.rows)
        return (f'<table>{caption}<thead><tr>{head}</tr></thead>\n'
                f'<tbody>{body}</tbody></table>')


def _escape_markdown(text: str) -> str:
    """Text that neither ends a cell nor is taken for HTML."""
    return html.escape(' '.join(text.split()), quote=False).replace('|', r'\|')


def _escape_latex(text: str) -> str:
    return ''.join(_LATEX.get(sign, sign) for sign in text)
