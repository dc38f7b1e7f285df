"""Coded images and what a machine finds in them, as one HTML file."""
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from numpy import ndarray

from .coding_images import ERROR_GAIN
from .html_pages import data_uri, write_page
from .tables import Table

#: Larger images are shown smaller.
_MAX_SIDE = 1024


@dataclass(frozen=True)
class FoundObject:
    """One object that a machine found.

    Args:
        name: Its class.
        score: How sure the machine is, 0 to 1.
        box: Left, top, right and bottom edge, as shares of the image's width
            and height; empty for what has no place.
        is_known: Whether the machine finds it in the original, too.
    """

    name: str
    score: float
    box: tuple[float, ...] = ()
    is_known: bool = True


@dataclass(frozen=True)
class DemoFigure:
    """An image with words below it.

    Args:
        title: What it is.
        text: What there is to see.
        pixels: RGB, uint8, shape (H, W, 3).
        num_bytes: Size of its file.
        bpp: Bits per pixel of that file.
        psnr: In dB, against the original; None for the original.
        found: What the machine finds in it.
        missing: Names of what it finds in the original, but not here.
    """

    title: str
    text: str
    pixels: ndarray
    num_bytes: int = 0
    bpp: float = 0.
    psnr: float | None = None
    found: Sequence[FoundObject] = ()
    missing: Sequence[str] = ()


@dataclass(frozen=True)
class DemoImage:
    """All that the page shows of one image.

    Args:
        title: Name of the image.
        figures: The original, and what was decoded.
        maps: More images of the first decoded one, such as its bits.
        parts: Names and bytes of the parts of its bitstream.
    """

    title: str
    figures: Sequence[DemoFigure]
    maps: Sequence[DemoFigure] = ()
    parts: Sequence[tuple[str, int]] = ()

    def table(self) -> Table:
        """Bytes, rate, quality and findings of each figure."""
        return Table(('', 'Bytes', 'bpp', 'PSNR (dB)', 'Found'),
                     [_row(figure) for figure in self.figures], self.title)


def write_demo_page(out_file: str | Path, title: str, note: str,
                    images: Sequence[DemoImage], commands: str) -> Path:
    """Write a page to look at, with the mouse, by touch or by keyboard.

    Args:
        out_file: HTML file; appears when it is complete.
        title: Heading.
        note: A sentence below it.
        images: What to show, at most 1024 pixels wide and high.
        commands: What would do each step, shown as it is.

    Returns:
        ``out_file``.
    """
    return write_page(
        'demo.html',
        out_file,
        title=title,
        note=note,
        images=images,
        data=[_shown(image) for image in images],
        gain=ERROR_GAIN,
        commands=commands)


def _shown(image: DemoImage) -> dict:
    """What the page's script reads."""
    height, width = image.figures[0].pixels.shape[:2]
    return dict(
        title=image.title,
        ratio=width / height,
        figures=[_drawn(figure) for figure in image.figures],
        maps=[_drawn(figure) for figure in image.maps],
        parts=image.parts)


def _drawn(figure: DemoFigure) -> dict:
    src = data_uri(figure.pixels, _MAX_SIDE, 'WEBP', 95)
    row = dict(asdict(figure), src=src)
    del row['pixels']
    return row


def _row(figure: DemoFigure) -> tuple[str, ...]:
    found = ', '.join(f'{one.name} {one.score:.2f}' for one in figure.found)
    psnr = '' if figure.psnr is None else f'{figure.psnr:.2f}'
    return (figure.title, f'{figure.num_bytes:,}', f'{figure.bpp:.3f}', psnr,
            found)
