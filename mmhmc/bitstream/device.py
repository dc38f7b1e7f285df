"""Which arithmetic chose the tables of a stream that is not portable."""
import platform
import zlib

import torch
from torch import Tensor


def device_fingerprint(weight: Tensor) -> bytes:
    """Two bytes that differ where floating-point results may differ.

    They stand for torch's version, the device's name, the instruction set,
    whether oneDNN (CPU) or which cuDNN (GPU) computes, and the memory format.
    Equal bytes do not promise equal results; a portable stream does.

    Args:
        weight: A convolution's weight of the network that chooses tables.
    """
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
    parts.append('channels last' if channels_last else 'contiguous')
    return zlib.crc32(' '.join(parts).encode()).to_bytes(4, 'little')[:2]
