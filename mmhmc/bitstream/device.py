"""Which arithmetic chose the tables of a stream that is not portable."""
import platform
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


def device_fingerprint(weight: Tensor, compiled: bool = False) -> bytes:
    """Two bytes that differ where floating-point results may differ.

    They stand for torch's version, the device's name, the instruction set,
    the number of threads, whether oneDNN (CPU) or which cuDNN (GPU) computes
    and how it was told to, the memory format, and whether the network was
    compiled. Equal bytes do not promise equal results; a portable stream
    does.

    Args:
        weight: A convolution's weight of the network that chooses tables.
        compiled: Whether that network was compiled.
    """
    parts = _device_parts(weight)
    if weight.device.type == 'cuda':
        parts += [
            str(getattr(torch.backends.cudnn, name))
            for name in ('deterministic', 'benchmark')
        ]
    else:
        parts.append(f'{torch.get_num_threads()} threads')
    parts += [
        torch.get_float32_matmul_precision(),
        str(torch.are_deterministic_algorithms_enabled()),
        'compiled' if compiled else 'eager'
    ]
    return _two_bytes(parts)


def former_fingerprint(weight: Tensor) -> bytes:
    """As streams of versions before 0.2 have it: without the last of these.

    Args:
        weight: See :func:`device_fingerprint`.
    """
    return _two_bytes(_device_parts(weight))


def _device_parts(weight: Tensor) -> list[str]:
    parts = [torch.__version__, weight.device.type]
    if weight.device.type == 'cuda':
        parts += [
            torch.cuda.get_device_name(weight.device),
            str(torch.backends.cudnn.version()),
            str(torch.backends.cudnn.allow_tf32)
        ]
    else:
        parts += [
            platform.machine(),
            torch.backends.cpu.get_cpu_capability(),
            str(torch.backends.mkldnn.enabled)
        ]
    channels_last = weight.ndim == 4 and not weight.is_contiguous()
    return [*parts, 'channels last' if channels_last else 'contiguous']


def _two_bytes(parts: list[str]) -> bytes:
    return zlib.crc32(' '.join(parts).encode()).to_bytes(4, 'little')[:2]


@contextmanager
def deterministic_kernels() -> Iterator[None]:
    """Let a GPU compute alike each time, in whole float32.

    For what chooses tables in floating point: encoder and decoder are to use
    the same kernels. Settings are those of the process, and are put back.
    """
    products = torch.backends.cuda.matmul.allow_tf32
    with torch.backends.cudnn.flags(
            enabled=torch.backends.cudnn.enabled,
            benchmark=False,
            deterministic=True,
            allow_tf32=False):
        torch.backends.cuda.matmul.allow_tf32 = False
        try:
            yield
        finally:
            torch.backends.cuda.matmul.allow_tf32 = products
