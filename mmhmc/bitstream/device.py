"""Fingerprint of the floating-point arithmetic that wrote a stream."""
import platform
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


def device_fingerprint(weight: Tensor, compiled: bool = False) -> bytes:
    """Two bytes that differ where floating-point results may differ.

    They depend on torch's version, the device's name, the instruction set,
    the number of threads, oneDNN (CPU) or the version of cuDNN (GPU) and its
    settings, the memory format, and whether the network was compiled. Equal
    bytes do not promise equal results; a portable stream does.

    Args:
        weight: Weight of a convolution of the network that chooses tables.
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
    """The fingerprint of versions before 0.2, without threads and settings.

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
    """Make a GPU compute deterministically, in full float32.

    For networks that choose tables in floating point: encoder and decoder
    have to use the same kernels. The process's settings are restored.
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
