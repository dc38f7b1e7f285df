"""``torch.load`` of data for torch before 2.5, by an unpickler of our own.

Such a torch cannot be told of further classes. This module goes when
requirements/upstream.txt, which has torch 2.1, asks for torch 2.5 or later.
"""
import codecs
import pickle
from collections import Counter, OrderedDict
from types import ModuleType
from typing import Any

import torch


def load(file, map_location, stand_ins: dict[str, type]) -> Any:
    """``torch.load`` that runs no code of the file, with stand-ins.

    The rules are those of torch's own reader: names come from a fixed list,
    only rebuilding functions and stand-ins are called, and only stand-ins get
    a state.

    Args:
        file: Path of the file; no tar and no TorchScript archive, which torch
            reads by other means.
        map_location: See ``torch.load``.
        stand_ins: By the name that a file gives a class, the class that is
            made instead.

    Returns:
        What was saved.

    Raises:
        pickle.UnpicklingError: If the file asks for anything else.
    """
    reader = type('Reader', (DataUnpickler, ), dict(stand_ins=stand_ins))
    module = ModuleType('reader')
    module.Unpickler = reader
    module.load = lambda f, **kwargs: reader(f, **kwargs).load()
    return torch.load(
        file,
        map_location=map_location,
        pickle_module=module,
        weights_only=False)


class _Opcodes(dict):
    """Pickle instructions; missing ones are refused."""

    def __missing__(self, code: int):
        raise pickle.UnpicklingError(f'Unsupported operand {code}')


class DataUnpickler(pickle._Unpickler):
    """Python's unpickler with only the instructions that data need.

    The rules are those of torch's ``_weights_only_unpickler``.
    """
    stand_ins: dict[str, type] = {}

    #: What torch writes, in protocol 2, for tensors and containers.
    dispatch = _Opcodes({
        getattr(pickle, name)[0]:
        pickle._Unpickler.dispatch[getattr(pickle, name)[0]]
        for name in ('PROTO', 'STOP', 'MARK', 'GLOBAL', 'NONE', 'NEWTRUE',
                     'NEWFALSE', 'BININT', 'BININT1', 'BININT2', 'LONG1',
                     'BINFLOAT', 'BINUNICODE', 'SHORT_BINSTRING',
                     'EMPTY_TUPLE', 'TUPLE', 'TUPLE1', 'TUPLE2', 'TUPLE3',
                     'EMPTY_LIST', 'APPEND', 'APPENDS', 'EMPTY_DICT',
                     'SETITEM', 'SETITEMS', 'EMPTY_SET', 'BINGET',
                     'LONG_BINGET', 'BINPUT', 'LONG_BINPUT')
    })

    def find_class(self, module: str, name: str) -> Any:
        """Look a name up in a fixed list; nothing is imported.

        Args:
            module: Module that the file names.
            name: Name in it.

        Returns:
            A stand-in, a type of torch, or a function that rebuilds a tensor.

        Raises:
            pickle.UnpicklingError: If it is none of them.
        """
        module = 'builtins' if module == '__builtin__' else module
        path = f'{module}.{name}'
        if path in self.stand_ins:
            return self.stand_ins[path]
        if module == 'torch' and isinstance(
                getattr(torch, name, None), torch.dtype):
            return getattr(torch, name)
        known = self._rebuilders()
        known['torch.storage.UntypedStorage'] = torch.UntypedStorage
        if path in known:
            return known[path]
        raise pickle.UnpicklingError(
            f'GLOBAL {path.removeprefix("builtins.")}')

    def _rebuilders(self) -> dict[str, Any]:
        """Functions and types that may be called, besides the stand-ins."""
        names = ('_rebuild_tensor', '_rebuild_tensor_v2', '_rebuild_parameter',
                 '_rebuild_sparse_tensor')
        return {
            **{
                f'torch._utils.{n}': getattr(torch._utils, n)
                for n in names
            }, 'torch.serialization._get_layout':
            torch.serialization._get_layout,
            'torch.Size': torch.Size,
            'collections.OrderedDict': OrderedDict,
            'collections.Counter': Counter,
            'builtins.set': set,
            'builtins.complex': complex,
            '_codecs.encode': _encode
        }

    def _reduce(self) -> None:
        arguments = self.stack.pop()
        function = self.stack[-1]
        allowed = [*self._rebuilders().values(), *self.stand_ins.values()]
        if not any(function is entry for entry in allowed):
            raise pickle.UnpicklingError('a call')
        self.stack[-1] = function(*arguments)

    def _make(self) -> None:
        arguments = self.stack.pop()
        cls = self.stack.pop()
        if not any(cls is entry for entry in self.stand_ins.values()):
            raise pickle.UnpicklingError('an object')
        self.append(cls.__new__(cls, *arguments))

    def _build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        # A state dict has versions; the milestones of a schedule, nothing.
        if type(target) in (OrderedDict, Counter):
            target.__dict__.update(state)
        elif any(type(target) is entry for entry in self.stand_ins.values()):
            target.__setstate__(state)
        else:
            raise pickle.UnpicklingError('a state')

    def _find_storage(self) -> None:
        pid = self.stack.pop()
        if type(pid) is not tuple or pid[0] not in ('storage', b'storage'):
            raise pickle.UnpicklingError('a reference')
        self.append(self.persistent_load(pid))

    dispatch[pickle.REDUCE[0]] = _reduce
    dispatch[pickle.NEWOBJ[0]] = _make
    dispatch[pickle.BUILD[0]] = _build
    dispatch[pickle.BINPERSID[0]] = _find_storage


def _encode(text: str, encoding: str) -> bytes:
    """``_codecs.encode``, by which protocol 2 writes bytes."""
    if encoding != 'latin1':
        raise pickle.UnpicklingError('an encoding')
    return codecs.encode(text, encoding)
