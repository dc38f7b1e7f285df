"""What differs between the lineages and versions of the host packages.

All of it is here, and nothing else asks for a version:

- **Config bases** (``mmhmc::``, ``mmseg::``):
  :func:`let_mmengine_resolve_configs`.
- **Weights of CompressAI's entropy bottleneck**: :func:`respell_bottleneck`.
- **Checkpoints of a run, as data**: :mod:`mmhmc.checkpoints.old_torch`. torch
  before 2.5 reads weights so and nothing else.
- **Autocast**: :func:`autocast_type`.
- **Resumed runs that count iterations**: :func:`call_after_replay`.
- **Packages**: requirements/upstream.txt, beside each its reason.
- **Tests** that an old torch cannot pass: the marks ``needs_...`` in
  tests/conftest.py.
"""
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib.abc import MetaPathFinder
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from itertools import islice
from typing import Any

_TABLE = 'mmengine.config.utils'


class _AfterImport(MetaPathFinder):
    """Calls a function when a module has been imported."""

    def __init__(self, module: str, function: Callable[[], None]) -> None:
        self.module, self.function = module, function

    def find_spec(self, name, path=None, target=None):
        if name != self.module:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec is not None:
            load = spec.loader.exec_module

            def load_and_call(module) -> None:
                load(module)
                self.function()

            spec.loader.exec_module = load_and_call
        return spec


def prepare_mmengine() -> None:
    """Call :func:`let_mmengine_resolve_configs` as soon as mmengine is there.

    mmengine takes a quarter of a second to be imported, which ``mmhmc --help``
    should not take.
    """
    if _TABLE in sys.modules:
        let_mmengine_resolve_configs()
    else:
        sys.meta_path.insert(
            0, _AfterImport(_TABLE, let_mmengine_resolve_configs))


def let_mmengine_resolve_configs() -> None:
    """Make ``mmhmc::`` and ``mmseg::`` usable as config bases.

    mmengine resolves only modules in its table of modules and distributions,
    and then looks for the module beside the distribution's metadata.

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
    """Rename the weights of an entropy bottleneck as this CompressAI does.

    CompressAI up to 1.2.6 says ``_matrix0`` (and ``_bias0``, ``_factor0``),
    1.2.8 says ``matrices.0``. Files of either load with either.

    Args:
        state_dict: Weights that are about to be loaded; changed in place.
        prefix: Name of the bottleneck in it, with the dot at its end.
        names: Names of the bottleneck's parameters.
    """
    here = {_neutral(name): name for name in names}
    for key in [key for key in state_dict if key.startswith(prefix)]:
        name = here.get(_neutral(key[len(prefix):]))
        if name is not None:
            state_dict[prefix + name] = state_dict.pop(key)


def _neutral(name: str) -> str:
    """Name in a form that both spellings share: ``bias0``."""
    for singular, plural in (('matrix', 'matrices'), ('bias', 'biases'),
                             ('factor', 'factors')):
        name = name.replace(f'{plural}.', singular)
    return name.removeprefix('_')


def call_after_replay(loop, iterations: int, function: Callable) -> None:
    """Call a function just before a loop loads its first new batch.

    A loop that counts iterations first skips those of the earlier run.
    mmengine 0.10.12 skips without loading, and then the function is called at
    once; 0.10.7 loads the batches, and augmentation draws random numbers.

    Args:
        loop: mmengine's loop, about to begin.
        iterations: Number of iterations that it is going to skip.
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
    """Type of autocast on ``'cpu'`` or ``'cuda'``; None if it is off.

    torch before 2.4 has a function for each device.
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
