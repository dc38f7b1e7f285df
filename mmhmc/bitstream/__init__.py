"""From integers to bytes and back: container, tables, entropy coder."""
from .container import QUALITY_STEP, Bitstream, CutStream, layers_of
from .device import (deterministic_kernels, device_fingerprint,
                     former_fingerprint)
from .entropy_coder import (CdfTables, SymbolDecoder, encode_symbols,
                            find_levels)
from .errors import BitstreamError
from .layer_tables import LayerTables

__all__ = [
    'Bitstream', 'BitstreamError', 'CdfTables', 'CutStream',
    'deterministic_kernels', 'device_fingerprint', 'encode_symbols',
    'find_levels', 'former_fingerprint', 'LayerTables', 'layers_of',
    'QUALITY_STEP', 'SymbolDecoder'
]
