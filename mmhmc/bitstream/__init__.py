"""From integers to bytes and back: container, tables, entropy coder."""
from .container import QUALITY_STEP, Bitstream, CutStream
from .device import device_fingerprint
from .entropy_coder import (CdfTables, SymbolDecoder, encode_symbols,
                            find_levels)
from .errors import BitstreamError

__all__ = [
    'Bitstream', 'BitstreamError', 'CdfTables', 'CutStream',
    'device_fingerprint', 'encode_symbols', 'find_levels', 'QUALITY_STEP',
    'SymbolDecoder'
]
