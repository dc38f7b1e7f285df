"""A cache of results that are computed from tensors."""
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor
from torch._compile import _disable_dynamo


class TensorCache:
    """Keeps results computed from tensors until one of these changes.

    Changes are another tensor, other memory, and writing in place. Writing
    through ``.data`` is not noticed, for torch does not count it: call
    :meth:`forget` afterwards. Copies and pickles begin empty.
    """

    def __init__(self) -> None:
        self._kept: dict[str, tuple[list, Any]] = {}

    # `torch.compile` can trace neither versions nor addresses.
    @_disable_dynamo
    def get(self, name: str, tensors: Sequence[Tensor],
            make: Callable[[], Any]) -> Any:
        """The result of ``make`` for the present values of some tensors.

        Args:
            name: Key of the result.
            tensors: All that the result depends on. Nothing is kept for
                inference tensors, which do not count their changes.
            make: Computes the result.
        """
        if any(tensor.is_inference() for tensor in tensors):
            return make()
        # A view is a new object each time; its base is not.
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
        """Drop all results."""
        self._kept.clear()

    def __deepcopy__(self, memo: dict) -> 'TensorCache':
        return TensorCache()

    def __reduce__(self) -> tuple:
        return TensorCache, ()
