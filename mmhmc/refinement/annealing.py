"""Stochastic rounding that becomes deterministic.

Reference:
    Y. Yang, R. Bamler, S. Mandt: "Improving Inference for Neural Image
    Compression", NeurIPS 2020. https://arxiv.org/abs/2006.04240
"""
from typing import Optional

import torch
from torch import Tensor

#: Temperature at the beginning and at the end.
HIGHEST, LOWEST = 0.5, 0.1
_LEAST = 1e-5


def temperature_at(step: int, steps: int) -> float:
    """Temperature of a step, falling exponentially.

    Args:
        step: From 0.
        steps: Their number.

    Returns:
        In [0.1, 0.5]. The paper's 2,000 steps stay at 0.5 for a third of
        them, which short searches cannot afford.
    """
    return HIGHEST * (LOWEST / HIGHEST)**(step / steps)


def annealed_round(t: Tensor,
                   temperature: float,
                   generator: Optional[torch.Generator] = None) -> Tensor:
    """Round down or up, at random, with a gradient (Gumbel-softmax).

    Args:
        t: Any shape.
        temperature: Above 0; towards 0 the result tends to ``t.round()``.
        generator: Of the noise, on the device of ``t``.

    Returns:
        Values between floor and ceiling of ``t``, of its shape.
    """
    floor = t.detach().floor()
    # Nothing is learnt at an integer: both logits would be infinite.
    above = (t - floor).clamp(_LEAST, 1 - _LEAST)
    logits = torch.stack([-torch.atanh(above), -torch.atanh(1 - above)])
    uniform = torch.rand(
        logits.shape, device=t.device, dtype=t.dtype, generator=generator)
    noise = -(-uniform.clamp(_LEAST**2, 1).log()).clamp(min=1e-20).log()
    down, up = ((logits / temperature + noise) / temperature).softmax(0)
    return down * floor + up * (floor + 1)
