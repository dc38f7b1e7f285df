"""Reading checkpoints without running code that is in them.

A checkpoint written by ``torch.save`` is a pickle, and a pickle can name any
function to be called while it is read. Here files are read as data only:
``.safetensors`` by safetensors, everything else by
``torch.load(weights_only=True)``. A file that needs more is refused; there is
no fallback. :func:`use_for_mmengine` makes mmengine read so too.

The limit: a config is code, and checkpoints hold one as text. The hosts'
inferencers run that text if they are given no config; so give them one.
"""
from .reading import (load_from_mmhmc, read_checkpoint,
                      read_trusted_checkpoint, use_for_mmengine)
from .weight_files import STEP, in_steps, write_safetensors

__all__ = [
    'STEP', 'in_steps', 'load_from_mmhmc', 'read_checkpoint',
    'read_trusted_checkpoint', 'use_for_mmengine', 'write_safetensors'
]
