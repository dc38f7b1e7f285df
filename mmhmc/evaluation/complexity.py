"""What a codec costs: parameters, operations, milliseconds, memory."""
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mmhmc.bitstream import Bitstream
from mmhmc.codecs import ImageCodec
from mmhmc.codecs.layers import NeighbourhoodAttention
from mmhmc.codecs.streams import use_integers
from mmhmc.functional import extend_edges, padded_size
from mmhmc.functional.devices import device_of
from mmhmc.structures import CodingCondition

#: Modules of a codec by the first letters of their names; all others are
#: about probabilities and count as hyper.
_ENCODER, _DECODER = 'g_a', 'g_s'


def count_parameters(codec: ImageCodec,
                     adapter: nn.Module | None = None) -> dict[str, int]:
    """Parameters of each part: encoder, hyper, decoder, adapter.

    ``hyper`` has all that is neither ``g_a`` nor ``g_s``: hyper transforms,
    context models, entropy models.
    """
    counts = dict(encoder=0, hyper=0, decoder=0, adapter=0)
    for name, parameter in codec.named_parameters():
        counts[_part_of(name)] += parameter.numel()
    if adapter is not None:
        counts['adapter'] = sum(p.numel() for p in adapter.parameters())
    return counts


@torch.no_grad()
def count_kmac(codec: ImageCodec,
               size: tuple[int, int],
               condition: CodingCondition | None = None,
               adapter: nn.Module | None = None) -> dict[str, float]:
    """Thousand multiply-accumulates per pixel of each part.

    Of encoding and decoding one image in evaluation mode, as
    :func:`count_parameters` divides it: convolutions and matrix products,
    half of what torch's ``FlopCounterMode`` counts. Attention counts the
    positions that are attended to, not those that a kernel also computes.
    What encoder and decoder both compute (h_s, context) counts once, by its
    networks in floating point.

    Args:
        codec: In evaluation mode, on any device.
        size: Height and width in pixels.
        condition: Run-time controls, for codecs that have any.
        adapter: What stands between image and machine.
    """
    x = torch.rand(1, 3, *size).to(device_of(codec))
    x = extend_edges(x, [size], padded_size(size, codec.downsampling_factor))
    spent = dict(encoder=0., hyper=0., decoder=0., adapter=0.)
    with FlopCounterMode(display=False) as counter, use_integers(False):
        with _counted(codec, counter, spent) as corrections:
            # As for coding: nobody asks for likelihoods.
            output = codec.encode_latents(x, condition, False)
            x_hat = codec.decode_latents(output.y_hat, condition)
        whole = counter.get_total_flops()
        spent['hyper'] = (
            whole + sum(corrections) - spent['encoder'] - spent['decoder'])
        if adapter is not None:
            device = device_of(adapter)
            if adapter.placement == 'synthesis':
                seen = adapter.decode(codec, output.y_hat.to(device),
                                      condition)
                if adapter.after is not None:
                    adapter.after(seen)
            else:
                seen = output.y_hat if adapter.placement == 'latent' else x_hat
                adapter(seen.to(device))
            spent['adapter'] = counter.get_total_flops() - whole
    pixels = size[0] * size[1]
    return {part: flops / 2000 / pixels for part, flops in spent.items()}


@contextmanager
def _counted(codec: ImageCodec, counter: FlopCounterMode,
             spent: dict[str, float]) -> Iterator[list[float]]:
    """Add up what the transforms of a codec spend.

    Yields:
        What attention is to count more than the counter saw.
    """
    corrections, handles = [], []

    def now() -> float:
        return counter.get_total_flops() + sum(corrections)

    def watch(modules: Iterable[nn.Module], done: Callable) -> None:
        """Tell ``done`` what each outermost of some modules spends."""
        began = []
        for module in modules:
            handles.append(
                module.register_forward_pre_hook(
                    lambda *_: began.append(now())))
            handles.append(module.register_forward_hook(leave(began, done)))

    def leave(began: list[float], done: Callable) -> Callable:

        def hook(module: nn.Module, args: tuple, _) -> None:
            start = began.pop()
            if not began:
                done(module, args, now() - start)

        return hook

    def add(part: str) -> Callable:

        def done(module: nn.Module, args: tuple, flops: float) -> None:
            spent[part] += flops

        return done

    def correct(module: nn.Module, args: tuple, flops: float) -> None:
        corrections.append(2 * module.count_macs(args[0]) - flops)

    for name, module in codec.named_children():
        if _part_of(name) != 'hyper':
            # Its layers, too: some codecs call them one by one.
            watch(module.modules(), add(_part_of(name)))
    # After those around it have begun, and before they end.
    watch([
        module for module in codec.modules()
        if isinstance(module, NeighbourhoodAttention)
    ], correct)
    try:
        yield corrections
    finally:
        for handle in handles:
            handle.remove()


def _part_of(name: str) -> str:
    if name.startswith(_ENCODER):
        return 'encoder'
    return 'decoder' if name.startswith(_DECODER) else 'hyper'


@torch.no_grad()
def time_coding(codec: ImageCodec,
                x: Tensor,
                condition: CodingCondition | None = None,
                runs: int = 3) -> dict[str, float | None]:
    """Milliseconds from image to bytes and back, and peak memory.

    Args:
        codec: In evaluation mode, with tables.
        x: One image, RGB in [0, 1], shape (1, 3, H, W), on the codec's
            device.
        condition: Run-time controls, for codecs that have any.
        runs: The quickest of these counts, after one to warm up.

    Returns:
        ``encode_ms``, ``decode_ms`` and ``peak_mib``: what this process needed
        at most above what it had before; None where the system does not say
        it. A program that the codec calls is not in it.
    """
    begin = _reset_peak(x.device)
    encode, decode = [], []
    for _ in range(runs + 1):
        seconds, data = _timed(
            x.device, lambda: codec.compress(x, condition)[0].to_bytes())
        encode.append(seconds)
        seconds, _ = _timed(
            x.device,
            lambda: codec.decompress([Bitstream.from_bytes(data)], condition))
        decode.append(seconds)
    peak = torch.cuda.max_memory_allocated(
        x.device) if x.device.type == 'cuda' else _of_process('VmHWM')
    return dict(
        encode_ms=1000 * min(encode[1:]),
        decode_ms=1000 * min(decode[1:]),
        peak_mib=None if peak is None or begin is None else
        (peak - begin) / 2**20)


def _timed(device: torch.device, call: Callable) -> tuple[float, object]:
    if device.type == 'cuda':
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    result = call()
    if device.type == 'cuda':
        torch.cuda.synchronize(device)
    return time.perf_counter() - start, result


def _reset_peak(device: torch.device) -> int | None:
    """Forget how much memory was needed; bytes that are used now."""
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    try:
        # Linux; see proc(5).
        Path('/proc/self/clear_refs').write_text('5')
    except OSError:
        return None
    return _of_process('VmRSS')


def _of_process(name: str) -> int | None:
    try:
        lines = Path('/proc/self/status').read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith(f'{name}:'):
            return int(line.split()[1]) * 1024
    return None
