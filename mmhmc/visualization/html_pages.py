"""Pages of HTML from ``templates/``, each one file that needs no network."""
import base64
import io
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader
from numpy import ndarray
from PIL import Image

from mmhmc.whole_files import write_whole


def write_page(template: str, out_file: str | Path, **content) -> Path:
    """Write a page; text of ``content`` is escaped.

    Args:
        template: Name of a file in ``templates/``.
        out_file: The page; appears when it is complete.
        **content: What the template names.

    Returns:
        ``out_file``.
    """
    pages = Environment(loader=PackageLoader(__package__), autoescape=True)
    pages.filters['data_uri'] = data_uri
    page = pages.get_template(template).render(content)
    out_file = Path(out_file)
    out_file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(out_file, page.encode())
    return out_file


def data_uri(pixels: ndarray,
             max_side: int,
             kind: str = 'PNG',
             quality: int = 85) -> str:
    """An image inside a page.

    Args:
        pixels: RGB, uint8, shape (H, W, 3).
        max_side: A larger image is made smaller, to this side in pixels.
        kind: ``'PNG'`` without further loss, or ``'WEBP'``.
        quality: Of WebP, 0 to 100.
    """
    image = Image.fromarray(pixels.astype(np.uint8))
    image.thumbnail((max_side, max_side), Image.Resampling.BOX)
    buffer = io.BytesIO()
    image.save(buffer, kind, quality=quality)
    return file_uri(f'image/{kind.lower()}', buffer.getvalue())


def file_uri(kind: str, data: bytes) -> str:
    """A file of a MIME type inside a page."""
    return f'data:{kind};base64,{base64.b64encode(data).decode()}'
