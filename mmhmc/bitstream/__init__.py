"""From integers to bytes and back: container, tables, entropy coder."""
from .container import Bitstream
from .entropy_coder import CdfTables, SymbolDecoder, encode_symbols
from .errors import BitstreamError

__all__ = [
    'Bitstream', 'BitstreamError', 'CdfTables', 'SymbolDecoder',
    'encode_symbols'
]
