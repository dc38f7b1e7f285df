"""What had to be adapted to the lineages and versions of the host packages.

All of it stands here, and nothing else asks for a version:

- **Config bases** (``mmhmc::``, ``mmseg::``):
  :func:`let_mmengine_resolve_configs`.
- **Weights of CompressAI's entropy bottleneck**: :func:`respell_bottleneck`.
- **Checkpoints of a run, as data**: :func:`load_as_data`. torch before 2.5
  reads weights so and nothing else.
- **Autocast**: :func:`autocast_type`.
- **Resumed runs that count iterations**: :func:`call_after_replay`.
- **Packages**: requirements/upstream.txt, beside each its reason.
- **Tests** that an old torch cannot pass: the marks ``needs_...`` in
  tests/conftest.py.
"""
import codecs
import pickle
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import PackageNotFoundError, distribution
from itertools import islice
from types import ModuleType
from typing import Any


def let_mmengine_resolve_configs() -> None:
    """Make ``mmhmc::`` and ``mmseg::`` usable as config bases.

    mmengine resolves only what stands in its table from modules to
    distributions, and then looks for the module beside the distribution's
    metadata.

    - The table does not know mmhmc.
    - It knows mmseg by the name of one distribution. Where another one
      supplies the module, the module's own name works.
    - An editable install has its metadata elsewhere than its module, and
      mmengine up to 0.10.7 then names a folder that does not exist. For a
      name that is a module and no distribution it asks the import system,
      so a module of mmhmc stands for the distribution there.
    """
    from mmengine.config.utils import MODULE2PACKAGE
    MODULE2PACKAGE.setdefault('mmhmc', _name_of_mmhmc())
    try:
        distribution(MODULE2PACKAGE['mmseg'])
    except PackageNotFoundError:
        MODULE2PACKAGE['mmseg'] = 'mmseg'


def _name_of_mmhmc() -> str:
    try:
        beside_metadata = distribution('mmhmc').locate_file('mmhmc')
    except PackageNotFoundError:
        return 'mmhmc'
    return 'mmhmc' if beside_metadata.exists() else 'mmhmc.version'


def respell_bottleneck(state_dict: dict[str, Any], prefix: str,
                       names: Iterable[str]) -> None:
    """Give the weights of an entropy bottleneck the names that it has here.

    CompressAI up to 1.2.6 says ``_matrix0`` (and ``_bias0``, ``_factor0``),
    1.2.8 says ``matrices.0``. Files of either load with either.

    Args:
        state_dict: What is about to be loaded; changed in place.
        prefix: Name of the bottleneck in it, with the dot at its end.
        names: Names of the bottleneck's parameters.
    """
    here = {_neutral(name): name for name in names}
    for key in [key for key in state_dict if key.startswith(prefix)]:
        name = here.get(_neutral(key[len(prefix):]))
        if name is not None:
            state_dict[prefix + name] = state_dict.pop(key)


def _neutral(name: str) -> str:
    """Name without what the spellings differ in: ``bias0``."""
    for singular, plural in (('matrix', 'matrices'), ('bias', 'biases'),
                             ('factor', 'factors')):
        name = name.replace(f'{plural}.', singular)
    return name.removeprefix('_')


def call_after_replay(loop, iterations: int, function: Callable) -> None:
    """Call a function just before a loop loads its first new batch.

    A loop that counts iterations first passes those that were trained.
    mmengine 0.10.12 does so without loading them, and then the call is made
    at once; 0.10.7 loads them, and augmentation draws random numbers.

    Args:
        loop: mmengine's loop, about to begin.
        iterations: How many it is going to pass.
        function: Called once, without arguments.
    """
    batches = getattr(loop, 'dataloader_iterator', None)
    if batches is None or hasattr(batches, 'skip_iter'):
        function()
    else:
        loop.dataloader_iterator = _call_after(batches, iterations, function)


def _call_after(batches: Iterator, count: int, function: Callable) -> Iterator:
    yield from islice(batches, count)
    function()
    yield from batches


def autocast_type(device: str) -> Any:
    """Type that autocast computes in on a device, None where it is off.

    torch before 2.4 has a function for each device.

    Args:
        device: ``'cpu'`` or ``'cuda'``.
    """
    import torch
    if hasattr(torch, 'get_autocast_dtype'):
        if torch.is_autocast_enabled(device):
            return torch.get_autocast_dtype(device)
    elif device == 'cpu':
        if torch.is_autocast_cpu_enabled():
            return torch.get_autocast_cpu_dtype()
    elif torch.is_autocast_enabled():
        return torch.get_autocast_gpu_dtype()
    return None


def load_as_data(file, map_location, stand_ins: dict[str, type]) -> Any:
    """``torch.load`` that runs no code of the file, with classes admitted.

    torch before 2.5 cannot be told of classes. Then the same rules hold, by
    an unpickler of our own: names come from a fixed list, only rebuilding
    functions and stand-ins are called, and only stand-ins get a state.

    Args:
        file: Path of the file; no tar and no TorchScript archive, which torch
            reads by other means.
        map_location: See ``torch.load``.
        stand_ins: By the name that a file gives a class, what is made of it.

    Returns:
        What was saved.

    Raises:
        pickle.UnpicklingError: If the file asks for anything else.
    """
    import torch
    if hasattr(torch.serialization, 'safe_globals'):
        classes = []
        for path, stand_in in stand_ins.items():
            # torch knows a class by its module and name.
            module, _, name = path.rpartition('.')
            classes.append(type(name, (stand_in, ), dict(__module__=module)))
        with torch.serialization.safe_globals(classes):
            return torch.load(
                file, map_location=map_location, weights_only=True)

    reader = type('Reader', (_DataUnpickler, ), dict(stand_ins=stand_ins))
    module = ModuleType('reader')
    module.Unpickler = reader
    module.load = lambda f, **kwargs: reader(f, **kwargs).load()
    return torch.load(
        file,
        map_location=map_location,
        pickle_module=module,
        weights_only=False)


class _Opcodes(dict):
    """Pickle instructions, of which those that are missing are refused."""

    def __missing__(self, code: int):
        raise pickle.UnpicklingError(f'Unsupported operand {code}')


class _DataUnpickler(pickle._Unpickler):
    """Python's unpickler with the few instructions that data need.

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
        """What a name stands for; nothing is imported.

        Args:
            module: Module that the file names.
            name: Name in it.

        Returns:
            A stand-in, a type of torch, or what rebuilds a tensor.

        Raises:
            pickle.UnpicklingError: If it is none of them.
        """
        import torch
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
        """What may be called, besides the stand-ins."""
        import torch
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
