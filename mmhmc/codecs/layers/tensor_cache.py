"""What is computed from tensors, kept until they change."""
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor
from torch._compile import _disable_dynamo


class TensorCache:
    """Results that are made again when a tensor they come from has changed.

    A change is another tensor, other memory, or writing in place, but for
    writing through ``.data``, which torch does not count: whoever does that
    calls :meth:`forget`. Copies and pickles begin empty.
    """

    def __init__(self) -> None:
        self._kept: dict[str, tuple[list, Any]] = {}

    # A tracer can follow neither versions nor addresses.
    @_disable_dynamo
    def get(self, name: str, tensors: Sequence[Tensor],
            make: Callable[[], Any]) -> Any:
        """What ``make`` gave for these tensors as they are now.

        Args:
            name: Tells results apart.
            tensors: All that the result depends on. Nothing is kept for
                inference tensors, which do not count their changes.
            make: Makes the result.
        """
        if any(tensor.is_inference() for tensor in tensors):
            return make()
        # A view is made anew each time, what it looks at is not.
        state = [(tensor if tensor._base is None else tensor._base,
                  tensor.data_ptr(), tensor._version) for tensor in tensors]
        kept, result = self._kept.get(name, (None, None))
        if kept is None or len(kept) != len(state) or any(
                old[0] is not new[0] or old[1:] != new[1:]
                for old, new in zip(kept, state)):
            result = make()
            self._kept[name] = state, result
        return result

    def forget(self) -> None:
        """Make everything again when it is asked for."""
        self._kept.clear()

    def __deepcopy__(self, memo: dict) -> 'TensorCache':
        return TensorCache()

    def __reduce__(self) -> tuple:
        return TensorCache, ()
