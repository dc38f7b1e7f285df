"""Values of mmengine's and numpy's own that checkpoints hold.

Reading a file makes stand-ins of them, which :func:`restore` then replaces by
values made of checked parts. Their own unpickling is not safe:
``numpy.dtype`` accepts a state that makes numpy follow addresses from the
file.
"""
import re
from pickle import UnpicklingError

import numpy as np
from mmengine.logging import HistoryBuffer

#: Numbers and truth values, of a size that numpy has.
_PLAIN_DTYPE = re.compile(r'b1|[iu][1248]|f[248]|c(8|16)')


class _SavedDtype:
    """``numpy.dtype`` of numbers; only the byte order is in its state."""

    def __init__(self, name, align=False, copy=False):
        if not isinstance(name, str) or not _PLAIN_DTYPE.fullmatch(name):
            raise UnpicklingError('it has a `numpy.dtype` not of numbers')
        self.name, self.order = name, '='

    def __setstate__(self, state):
        self.order = state[1]

    def restored(self) -> np.dtype:
        return np.dtype(self.name).newbyteorder(self.order)


class _SavedArray:
    """``numpy.ndarray`` of numbers."""

    # numpy pickles an array in two steps; this is the state after the first.
    state = (1, (0, ), None, False, b'')

    def __init__(self, *unused):
        """Takes the arguments of ``_reconstruct``: class, shape, type code."""

    def __setstate__(self, state):
        self.state = state

    def restored(self) -> np.ndarray:
        _, shape, dtype, is_fortran, content = self.state
        flat = _numbers(content, dtype)
        return flat.reshape(shape, order='F' if is_fortran else 'C')


class _SavedScalar:
    """``numpy`` scalar; there is no second step, so it is built at once."""

    def __new__(cls, dtype, content):
        value, = _numbers(content, dtype)
        return value


def _numbers(content: bytes, dtype: _SavedDtype) -> np.ndarray:
    """The numbers in some bytes, in one dimension."""
    if not isinstance(dtype, _SavedDtype) or not isinstance(content, bytes):
        raise UnpicklingError('it has a numpy object not of numbers')
    # A bytearray, so that the array can be written to.
    return np.frombuffer(bytearray(content), dtype.restored())


class _SavedHistory:
    """``HistoryBuffer``, without the statistics functions saved with it.

    They are the class's own, and reading them would replace them for all.
    """

    def __setstate__(self, state):
        self.state = state

    def restored(self) -> HistoryBuffer:
        arrays = [
            self.state[key] for key in ('_log_history', '_count_history')
        ]
        if not all(isinstance(array, _SavedArray) for array in arrays):
            raise UnpicklingError('it has a `HistoryBuffer` not of numbers')
        return HistoryBuffer(*(array.restored() for array in arrays),
                             self.state['max_length'])


class _NoBytes:
    """``bytes``, by whose call only ``b''`` is saved: an empty array."""

    def __new__(cls):
        return b''


class _SavedMethod:
    """``getattr``, by which only those statistics functions are saved."""

    def __new__(cls, owner, name):
        if not (isinstance(owner, type) and issubclass(owner, _SavedHistory)):
            raise UnpicklingError('it has a call of `getattr`')


#: Stand-ins for the types in mmengine's checkpoints.
STAND_INS = {
    'mmengine.logging.history_buffer.HistoryBuffer': _SavedHistory,
    'builtins.getattr': _SavedMethod,
    'builtins.bytes': _NoBytes,
    'numpy.dtype': _SavedDtype,
    'numpy.ndarray': _SavedArray,
    # numpy 1 and 2 each read what the other has written.
    'numpy.core.multiarray._reconstruct': _SavedArray,
    'numpy._core.multiarray._reconstruct': _SavedArray,
    'numpy.core.multiarray.scalar': _SavedScalar,
    'numpy._core.multiarray.scalar': _SavedScalar,
}


def restore(value, done: dict):
    """Replace stand-ins by values, in containers in place.

    Args:
        value: Anything that torch has read.
        done: For the ``id`` of each value so far: the value, so that no other
            gets its ``id``, and its replacement. A list may contain itself,
            and nested tuples may be one object many times.
    """
    if id(value) in done:
        return done[id(value)][1]
    result = value
    if isinstance(value, (_SavedDtype, _SavedArray, _SavedHistory)):
        result = value.restored()
    elif type(value) is tuple:
        result = tuple(restore(item, done) for item in value)
    elif isinstance(value, (dict, list)):
        done[id(value)] = value, value
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in list(items):
            value[key] = restore(item, done)
    else:
        return value
    done[id(value)] = value, result
    return result
