"""Settings that make training on a CPU several times faster."""
import ctypes
import os


def tune_cpu() -> None:
    """Let memory and threads be kept; call it before torch is loaded.

    - glibc keeps what it has freed. Large activations are otherwise mapped
      and unmapped at every step, which costs more than the arithmetic.
    - Waiting threads sleep instead of spinning, and on one or two cores there
      is one thread. Where anything else runs on the machine, threads that
      spin for each other make a step up to ten times slower; a step of the
      small Mask R-CNN took 0.21 s with one thread and 0.37 s with two.

    With another C library, or where ``OMP_WAIT_POLICY`` or
    ``OMP_NUM_THREADS`` is set already, that part is left alone.
    """
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
    if (os.cpu_count() or 1) <= 2:
        os.environ.setdefault('OMP_NUM_THREADS', '1')
    libc = ctypes.CDLL(None)
    if hasattr(libc, 'gnu_get_libc_version'):
        # malloc.h: never mmap, never trim, grow the heap by 512 MiB.
        for parameter, value in ((-4, 0), (-1, -1), (-2, 1 << 29)):
            libc.mallopt(parameter, value)
