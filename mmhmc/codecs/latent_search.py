"""Encode-time search: latents other than those of the analysis transforms.

An encoder may write any latent; the decoder does not mind. Within
:meth:`LatentSearch.active` a codec codes the latents of the search in place
of those that g_a and h_a give, and computes neither again.
"""
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Optional

from torch import Tensor

#: Replaces rounding by a function with gradients: name of the latent, and
#: the latent less the centre of rounding, to values of the same shape.
Relaxation = Callable[[str, Tensor], Tensor]

_SEARCH: ContextVar[Optional['LatentSearch']] = ContextVar(
    'search', default=None)


class LatentSearch:
    """The latents of one image while they are searched for.

    Attributes:
        latents: What is coded, by name, e.g. ``y`` and ``z``, in units of
            their quantisation steps; filled when the codec first encodes.
        relaxation: Replaces rounding; None rounds, as for a stream.
    """

    def __init__(self) -> None:
        self.latents: dict[str, Tensor] = {}
        self.relaxation: Optional[Relaxation] = None
        self._kept: dict[str, Tensor] = {}

    @contextmanager
    def active(self) -> Iterator[None]:
        """Context in which codecs code these latents."""
        token = _SEARCH.set(self)
        try:
            yield
        finally:
            _SEARCH.reset(token)


def searched(name: str, make: Callable[[], Tensor]) -> Tensor:
    """A latent of the search, which begins with ``make()``.

    Args:
        name: Name of the latent.
        make: Gives the latent of the analysis transforms.
    """
    search = _SEARCH.get()
    return make() if search is None else _once(search.latents, name, make)


def kept(name: str, make: Callable[[], Tensor]) -> Tensor:
    """A result that depends on the image alone: computed once in a search."""
    search = _SEARCH.get()
    return make() if search is None else _once(search._kept, name, make)


def _once(found: dict[str, Tensor], name: str,
          make: Callable[[], Tensor]) -> Tensor:
    if name not in found:
        found[name] = make().detach()
    return found[name]


def relaxation() -> Optional[Relaxation]:
    """The function in place of rounding, if a search is under way."""
    search = _SEARCH.get()
    return search and search.relaxation
