"""Hooks that take their arguments from a named dict of the config."""
from collections.abc import Callable
from functools import wraps
from typing import Any

from mmengine.hooks import Hook


def takes_named_settings(hook: type[Hook]) -> type[Hook]:
    """Let a hook take its arguments from a top-level dict of the config.

    .. code-block:: python

        objective = dict(lmbda_distortion=0.0067, lmbda_task=0.1)
        custom_hooks = [dict(type='mmhmc.RateLossHook', settings='objective')]

    ``--cfg-options objective.lmbda_task=0.2`` then means the same wherever
    the hook stands in the list. Arguments beside ``settings`` override those
    of the dict. The hook is made when the run begins, for only the runner
    has the config with all its options.

    Args:
        hook: Class of the hook.

    Returns:
        The class; it also takes ``settings``, the name of the dict.
    """
    make, before_run = hook.__init__, hook.before_run

    @wraps(make)
    def __init__(self,
                 *args: Any,
                 settings: str | None = None,
                 **kwargs: Any) -> None:
        self._settings = settings
        if settings is None:
            make(self, *args, **kwargs)
        else:
            self._beside_settings = kwargs

    @wraps(before_run)
    def make_and_begin(self, runner) -> None:
        if self._settings is not None:
            _make_from_config(self, make, runner.cfg)
        before_run(self, runner)

    hook.__init__, hook.before_run = __init__, make_and_begin
    return hook


def _make_from_config(hook: Hook, make: Callable, cfg: dict) -> None:
    name = hook._settings
    if not isinstance(cfg.get(name), dict):
        raise ValueError(
            f'{type(hook).__name__} has settings={name!r}, so the config must '
            f'define the dict `{name}`, got {cfg.get(name)!r}.')
    try:
        make(hook, **{**cfg[name], **hook._beside_settings})
    except TypeError as error:
        raise ValueError(f'`{name}` of the config does not fit '
                         f'{type(hook).__name__}: {error}') from error
    # A second run of the runner does not make it again.
    hook._settings = None
