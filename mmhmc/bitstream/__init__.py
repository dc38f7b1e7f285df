"""From integers to bytes and back: container, tables, entropy coder.

The names below are loaded when they are first used: the container needs
nothing but Python, so ``mmhmc info``, ``cut`` and ``join`` run without torch.
"""
from importlib import import_module

_PUBLIC = {
    'container': ('Bitstream', 'CutStream', 'QUALITY_STEP', 'layers_of'),
    'device':
    ('deterministic_kernels', 'device_fingerprint', 'former_fingerprint'),
    'entropy_coder':
    ('CdfTables', 'SymbolDecoder', 'encode_symbols', 'find_levels'),
    'errors': ('BitstreamError', ),
    'layer_tables': ('LayerTables', ),
    'shifted_tables': ('ShiftedTables', ),
}
_MODULE_OF = {name: module for module in _PUBLIC for name in _PUBLIC[module]}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str):
    if name in _MODULE_OF:
        return getattr(import_module(f'{__name__}.{_MODULE_OF[name]}'), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
