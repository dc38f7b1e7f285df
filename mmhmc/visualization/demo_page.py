"""One coded image as one HTML file that needs no network."""
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from numpy import ndarray

from .html_pages import write_page
from .tables import Table


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


def write_demo_page(out_file: str | Path, title: str, note: str,
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
    return write_page(
        'demo.html',
        out_file,
        title=title,
        note=note,
        figures=figures,
        tables=tables,
        commands=commands)
