"""Codecs whose bits another program or library makes: one file per maker."""
from .base import StandardCodec
from .hevc import HEVCIntra
from .images import AVIF, JPEG, JPEGXL, WebP
from .vvc import VVCIntra

__all__ = [
    'AVIF', 'HEVCIntra', 'JPEG', 'JPEGXL', 'StandardCodec', 'VVCIntra', 'WebP'
]
