"""Failures of a benchmark, as its records have them."""

import cv2

#: What ends one image, one point or one test, and not the rest; hosts and
#: their pipelines may raise any of it.
ERRORS = (OSError, ValueError, RuntimeError, MemoryError, LookupError,
          TypeError, ImportError, AttributeError, AssertionError,
          ArithmeticError, cv2.error)
LOST = 'It ended its process, perhaps for lack of memory.'


def failure(stage: str, error: str | BaseException, **origin) -> dict:
    """Record of a result that could not be made.

    Args:
        stage: Where it failed: ``coding``, ``task``, ``complexity``, or the
            name of a metric of images.
        error: Why.
        **origin: What the result would be of: ``codec``, ``point`` ...
    """
    if not isinstance(error, str):
        error = one_line(error)
    return dict(origin, kind='failure', stage=stage, error=error)


def one_line(error: BaseException) -> str:
    """An error in one line."""
    return ' '.join(str(error).split()) or type(error).__name__
