"""Precision, memory format and threads for this machine.

They are decided here and nowhere else. Configs and options say what is
allowed; the choice depends on what the machine computes natively:

- **bfloat16** where a CPU or GPU has instructions for it. Elsewhere it is
  emulated, and a convolution takes up to a hundred times longer.
- **channels_last** where it is allowed: it halves the time of convolutions in
  bfloat16; in float32 they take as long or a little less.
- **Threads** by the cores that are free, see :func:`free_cores`.

The environment variable ``MMHMC_COMPUTE`` overrides the first two: one or two
of ``bfloat16``, ``float32``, ``channels_last`` and ``contiguous``, separated
by a comma. ``OMP_NUM_THREADS`` overrides the third.
"""
from __future__ import annotations
import ctypes
import os
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

VARIABLE = 'MMHMC_COMPUTE'
_TYPES = ('bfloat16', 'float32')
_FORMATS = ('channels_last', 'contiguous')
#: They limit a CPU to older instructions, which a query of its instructions
#: does not see.
_LIMITS = ('ONEDNN_MAX_CPU_ISA', 'DNNL_MAX_CPU_ISA', 'ATEN_CPU_CAPABILITY')
#: Launchers set them to the number of processes on the machine.
_LOCAL_RANKS = ('LOCAL_WORLD_SIZE', 'OMPI_COMM_WORLD_LOCAL_SIZE',
                'MPI_LOCALNRANKS', 'SLURM_NTASKS_PER_NODE')


@dataclass(frozen=True)
class Arithmetic:
    """Precision and memory format of convolutions on a device.

    Args:
        dtype: Name of the type, ``'bfloat16'`` or ``'float32'``.
        channels_last: Whether the memory format is channels_last.
        reason: Why, for the log.
    """

    dtype: str
    channels_last: bool
    reason: str

    @property
    def bf16(self) -> bool:
        """Whether the type is bfloat16."""
        return self.dtype == 'bfloat16'

    def __str__(self) -> str:
        layout = _FORMATS[0] if self.channels_last else _FORMATS[1]
        return f'{self.dtype}, {layout} ({self.reason})'


def choose_arithmetic(device: str | torch.device = 'cpu') -> Arithmetic:
    """Choose precision and memory format for a device.

    ``MMHMC_COMPUTE`` overrides the choice.

    Args:
        device: ``'cpu'``, ``'cuda'`` or ``'cuda:1'``.

    Raises:
        ValueError: If ``MMHMC_COMPUTE`` has a word that is unknown, or two
            that exclude each other.
    """
    dtype, layout = _asked_for(os.environ.get(VARIABLE, ''))
    if dtype is not None:
        bf16, reason = dtype == 'bfloat16', f'{VARIABLE} asks for it'
    else:
        bf16, reason = computes_bf16(device)
    return Arithmetic('bfloat16' if bf16 else 'float32', layout
                      != 'contiguous', reason)


def _asked_for(text: str) -> tuple[str | None, str | None]:
    """Type and memory format in the variable; None if one is not there."""
    words = text.replace(',', ' ').split()
    found = [[w for w in words if w in kind] for kind in (_TYPES, _FORMATS)]
    if sum(map(len, found)) != len(words) or max(map(len, found)) > 1:
        raise ValueError(
            f'`{VARIABLE}` may have one of {", ".join(_TYPES)} and one of '
            f'{", ".join(_FORMATS)}, separated by commas; got {text!r}.')
    dtype, layout = (words[0] if words else None for words in found)
    return dtype, layout


def computes_bf16(device: str | torch.device = 'cpu') -> tuple[bool, str]:
    """Whether a device has instructions for bfloat16, and how that is known.
    """
    import torch
    device = torch.device(device)
    if device.type == 'cpu':
        return _cpu_computes_bf16()
    if device.type != 'cuda':
        return False, f'nothing is known of bfloat16 on {device.type}'
    # `torch.cuda.is_bf16_supported` includes emulation, and only knows the
    # current device.
    native = bool(torch.version.hip) or \
        torch.cuda.get_device_capability(device) >= (8, 0)
    has = 'has' if native else 'has no'
    return native, (f'{torch.cuda.get_device_name(device)} {has} bfloat16 '
                    'instructions')


@lru_cache
def _cpu_computes_bf16() -> tuple[bool, str]:
    import torch
    if not (torch.backends.mkldnn.is_available()
            and torch.ops.mkldnn._is_mkldnn_bf16_supported()):
        return False, 'oneDNN finds no bfloat16 instructions in the CPU'
    if not any(name in os.environ for name in _LIMITS) and any(
            getattr(torch.cpu, query, bool)()
            for query in ('_is_avx512_bf16_supported',
                          '_is_amx_tile_supported')):
        return True, 'the CPU has bfloat16 instructions'
    # oneDNN says yes to AVX-512 alone, too, where it emulates them.
    try:
        gain = _gain_of_bf16()
    except RuntimeError as error:  # torch 2.1 does not heed such a limit
        return False, f'no convolution in bfloat16 here: {error}'
    return gain > 1, f'a convolution in bfloat16 is {gain:.1f} times as fast'


def _gain_of_bf16() -> float:
    """Time of a convolution in float32 over that in bfloat16; takes 20 ms."""
    import torch
    least = {}
    # Time of one thread: it does not depend on what else runs here.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.no_grad():
            for _ in range(5):
                for dtype in (torch.float32, torch.bfloat16):
                    x = torch.ones(1, 64, 32, 32, dtype=dtype)
                    x = x.to(memory_format=torch.channels_last)
                    weight = torch.ones(64, 64, 3, 3, dtype=dtype)
                    start = time.thread_time()
                    torch.nn.functional.conv2d(x, weight)
                    seconds = time.thread_time() - start
                    least[dtype] = min(seconds, least.get(dtype, seconds))
    finally:
        torch.set_num_threads(threads)
    return least[torch.float32] / max(least[torch.bfloat16], 1e-9)


def free_cores() -> int:
    """Number of cores that this process may use alone, at least 1.

    The cores of its affinity and its control groups' quota, divided among the
    processes that a launcher started on the machine.
    """
    if hasattr(os, 'sched_getaffinity'):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    cores = min([cores, *map(int, _cgroup_quotas())])
    if 'SLURM_CPUS_PER_TASK' in os.environ:
        return max(1, min(cores, int(os.environ['SLURM_CPUS_PER_TASK'])))
    ranks = [os.environ.get(name, '') for name in _LOCAL_RANKS]
    ranks = next((int(n) for n in ranks if n.isdecimal() and int(n)), 1)
    return max(1, cores // ranks)


def _cgroup_quotas(groups: Path = Path('/proc/self/cgroup'),
                   root: Path = Path('/sys/fs/cgroup')) -> list[float]:
    """Number of cores that each control group of this process may use.

    The groups are in the first file, their settings in folders of the other.
    """
    try:
        lines = groups.read_text().splitlines()
    except OSError:
        return []
    quotas = []
    for line in lines:
        _, controllers, name = line.split(':', 2)
        if controllers not in ('', 'cpu', 'cpu,cpuacct', 'cpuacct,cpu'):
            continue
        top = root / controllers
        folder = top / name.lstrip('/')
        for one in (folder, *folder.parents):
            if one.is_relative_to(top):
                quotas.extend(_quota_of(one))
    return quotas


def _quota_of(folder: Path) -> list[float]:
    """Number of cores of one group; empty if it has no limit."""
    try:
        if (folder / 'cpu.max').exists():  # version 2
            quota, period = (folder / 'cpu.max').read_text().split()
        else:
            quota, period = ((folder / f'cpu.cfs_{name}_us').read_text()
                             for name in ('quota', 'period'))
    except (OSError, ValueError):
        return []
    if quota == 'max' or int(quota) < 0:
        return []
    return [int(quota) / int(period)]


def tune_cpu() -> None:
    """Set memory allocation and threads; call it before torch is loaded.

    - glibc keeps freed memory. Otherwise large activations are mapped and
      unmapped at every step, which costs more than the arithmetic.
    - Waiting threads sleep instead of spinning. There are as many threads as
      free cores, but one thread for one or two cores. If other programs run
      on the machine, spinning threads make a step up to ten times slower; a
      step of the small Mask R-CNN took 0.21 s with one thread and 0.37 s with
      two.

    Another C library is not changed, nor are ``OMP_WAIT_POLICY`` and
    ``OMP_NUM_THREADS`` if they are set.
    """
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
    cores = free_cores()
    if cores <= 2:
        os.environ.setdefault('OMP_NUM_THREADS', '1')
    elif cores < (os.cpu_count() or 1):
        # torch sees neither quotas nor the other processes.
        os.environ.setdefault('OMP_NUM_THREADS', str(cores))
    libc = ctypes.CDLL(None)
    if hasattr(libc, 'gnu_get_libc_version'):
        # malloc.h: never mmap, never trim, grow the heap by 512 MiB.
        for parameter, value in ((-4, 0), (-1, -1), (-2, 1 << 29)):
            libc.mallopt(parameter, value)
