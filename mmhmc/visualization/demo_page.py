"""One coded image as one HTML file that needs no network."""
import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Union

from numpy import ndarray
from PIL import Image

from mmhmc.datasets import write_whole
from .report_page import _STYLE
from .tables import Table

_MAX_SIDE = 1024  # pixels of an embedded image
_OWN_STYLE = '''
.images { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)) }
figcaption b { color: #1c1c1c }
'''


@dataclass(frozen=True)
class DemoFigure:
    """An image with words below it.

    Args:
        title: What it is.
        text: What there is to see.
        pixels: RGB, uint8, shape (H, W, 3).
    """

    title: str
    text: str
    pixels: ndarray


def write_demo_page(out_file: Union[str, Path], title: str, note: str,
                    figures: Sequence[DemoFigure], tables: Sequence[Table],
                    commands: str) -> Path:
    """Write a page with images, tables and commands.

    Args:
        out_file: HTML file; appears when it is complete.
        title: Heading.
        note: A sentence below it.
        figures: Shown side by side, at most 1024 pixels wide and high.
        tables: Shown below them.
        commands: What would do each step, shown as it is.

    Returns:
        ``out_file``.
    """
    shown = ''.join(
        f'<figure><img alt="{html.escape(figure.title)}" '
        f'src="{_data_uri(figure.pixels)}"><figcaption><b>'
        f'{html.escape(figure.title)}</b><br>{html.escape(figure.text)}'
        '</figcaption></figure>' for figure in figures)
    below = '\n'.join(f'<div class="wide">{table.to_html()}</div>'
                      for table in tables)
    page = ('<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width">'
            f'<title>{html.escape(title)}</title>'
            f'<style>{_STYLE}{_OWN_STYLE}</style></head>\n<body>'
            f'<h1>{html.escape(title)}</h1>'
            f'<p class="note">{html.escape(note)}</p>\n'
            f'<div class="images">{shown}</div>\n'
            f'<section><h2>Sizes and findings</h2>{below}</section>\n'
            '<section><h2>Each step by itself</h2>'
            f'<pre>{html.escape(commands)}</pre></section>\n</body></html>\n')
    out_file = Path(out_file)
    out_file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(out_file, page.encode())
    return out_file


def _data_uri(pixels: ndarray) -> str:
    """An image inside the page, without loss unless it is made smaller."""
    image = Image.fromarray(pixels)
    image.thumbnail((_MAX_SIDE, _MAX_SIDE), Image.Resampling.BOX)
    buffer = io.BytesIO()
    image.save(buffer, 'PNG')
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'data:image/png;base64,{data}'
