"""Child registries of mmengine's, scope ``mmhmc``.

A config names our types as ``mmhmc.X``; mmengine then imports this module and
the ``locations`` by itself, whatever the host's default scope is.
"""
import mmengine.registry as root

from mmhmc.checkpoints import use_for_mmengine
from mmhmc.former_names import current_type


class Registry(root.Registry):
    """A registry that finds types by former names, too, with a warning.

    From the first look-up on mmengine reads checkpoints as data only: a
    config that names a type of ours may come from anywhere and be run by the
    host's own tools.
    """

    def get(self, key: str):
        """See the base class."""
        use_for_mmengine()
        return super().get(current_type(key))


def _child_of(parent: root.Registry, *locations: str) -> Registry:
    """Our registry beside a root registry; its types are in ``locations``."""
    locations = [f'mmhmc.{location}' for location in locations]
    return Registry(
        parent.name, parent=parent, scope='mmhmc', locations=locations)


MODELS = _child_of(root.MODELS, 'models', 'codecs', 'adapters', 'losses',
                   'refinement', 'apis.host_reader')
HOOKS = _child_of(root.HOOKS, 'engine', 'visualization')
OPTIMIZERS = _child_of(root.OPTIMIZERS, 'engine')
OPTIM_WRAPPER_CONSTRUCTORS = _child_of(root.OPTIM_WRAPPER_CONSTRUCTORS,
                                       'engine')
METRICS = _child_of(root.METRICS, 'evaluation')
DATASETS = _child_of(root.DATASETS, 'datasets')
TRANSFORMS = _child_of(root.TRANSFORMS, 'datasets')


def build_part(part):
    """A model, loss or layer from its config; any other object as it is."""
    return MODELS.build(part) if isinstance(part, dict) else part


def build_refinement(refinement: object) -> object:
    """A search for better latents from its number of steps, or its config.

    Args:
        refinement: Number of steps, arguments of
            :class:`~mmhmc.refinement.LatentRefinement` (with or without
            ``type``), or an object, which stays.

    Raises:
        TypeError: If it is something else, or has unknown arguments.
        ValueError: If an argument is out of range.
    """
    if isinstance(refinement, int) and not isinstance(refinement, bool):
        refinement = dict(steps=refinement)
    if isinstance(refinement, dict):
        return build_part(
            dict(dict(type='mmhmc.LatentRefinement'), **refinement))
    if not hasattr(refinement, 'refine'):
        raise TypeError('`refinement` must be a number of steps, arguments of '
                        f'LatentRefinement, or one, got {refinement!r}.')
    return refinement


def type_name(cfg: dict) -> str:
    """Name of the type in a config, without its scope.

    Args:
        cfg: Config whose ``type`` is a registered name, with or without a
            scope, the full path of a class, or a class, as in lazy configs.

    Returns:
        E.g. ``'RateLossHook'``; empty without ``type``.
    """
    return _type_path(cfg).split('.')[-1]


def type_scope(cfg: dict) -> str:
    """Package of the type in a config, if ``type`` names it.

    Args:
        cfg: See :func:`type_name`.

    Returns:
        E.g. ``'mmhmc'``; empty for a name without a scope.
    """
    scope, dot, _ = _type_path(cfg).partition('.')
    return scope if dot else ''


def is_pretrained(init_cfg: dict) -> bool:
    """Whether an initialisation is by a checkpoint."""
    return type_name(init_cfg) in ('Pretrained', 'PretrainedInit')


def _type_path(cfg: dict) -> str:
    kind = cfg.get('type') or ''
    if isinstance(kind, str):
        return kind
    return f'{kind.__module__}.{kind.__name__}'
