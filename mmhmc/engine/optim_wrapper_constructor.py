"""Separate learning rates for codec, adapter and host."""
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.optim import OptimWrapper
from mmengine.registry import \
    OPTIM_WRAPPER_CONSTRUCTORS as ALL_OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

from mmhmc.models import CodecBackbone
from mmhmc.registry import OPTIM_WRAPPER_CONSTRUCTORS
from .parts import PARTS, split_parameters


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class CodecOptimWrapperConstructor:
    """Builds the host's parameter groups, then those of codec and adapter.

    The host's constructor sees the host without a codec, with the names of
    its config (``backbone.stem``, not ``backbone.backbone.stem``). So its
    rules, e.g. layer-wise decay, hold for the host and for nothing else.

    .. code-block:: python

        optim_wrapper = dict(
            type='OptimWrapper',
            optimizer=dict(type='Adam', lr=2e-5),          # the host's
            constructor='mmhmc.CodecOptimWrapperConstructor',
            paramwise_cfg=dict(
                codec=dict(lr=1e-4), adapter=dict(lr=1e-4)))

    Args:
        optim_wrapper_cfg: Config of optimizer and wrapper, as the host's.
        paramwise_cfg: ``codec``, ``adapter``, ``host``: settings of their
            parameter groups, e.g. ``lr``, ``weight_decay``, which replace
            those of the host's constructor. Weight decay of codec and adapter
            is 0 unless it is given. ``constructor``: the host's own
            constructor, mmengine's default if left out. All other keys are
            its arguments, as in the host's config.

    Raises:
        ValueError: If a learning rate is negative, settings are given for a
            part that the model does not have, or the optimizer is Muon, which
            makes groups of its own: use it with mmengine's default
            constructor, also before a host.
    """

    def __init__(self,
                 optim_wrapper_cfg: dict,
                 paramwise_cfg: dict | None = None) -> None:
        host_cfg = dict(paramwise_cfg or {})
        self.settings = {p: dict(host_cfg.pop(p, {})) for p in PARTS}
        for part, settings in self.settings.items():
            if settings.get('lr', 0) < 0:
                raise ValueError(f'The learning rate of the {part} must not '
                                 f'be negative, got {settings["lr"]}.')
        self.host_constructor = ALL_OPTIM_WRAPPER_CONSTRUCTORS.build(
            dict(
                type=host_cfg.pop('constructor',
                                  'DefaultOptimWrapperConstructor'),
                optim_wrapper_cfg=optim_wrapper_cfg,
                paramwise_cfg=host_cfg))

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the optimizer wrapper of a model that holds one codec."""
        model = getattr(model, 'module', model)
        with _bare_host(model):
            wrapper = self.host_constructor(model)
        optimizer = wrapper.optimizer
        if any('use_muon' in group for group in optimizer.param_groups):
            raise ValueError(
                '`mmhmc.Muon` divides the parameters into groups of its own, '
                'which this constructor would undo. Leave `constructor` out, '
                'as configs/hmc/yolox-nano_dynadapt_coco.py does, or use Adam '
                'or AdamW.')
        parts = split_parameters(model)
        for part in PARTS:
            if self.settings[part] and not parts[part]:
                raise ValueError(f'`paramwise_cfg` has settings for the {part}'
                                 ', but this model has none.')
        ours = {id(p) for part in ('codec', 'adapter') for p in parts[part]}
        groups = [{
            **optimizer.defaults, 'weight_decay': 0.,
            **self.settings[part], 'params': parts[part],
            'part': part
        } for part in ('codec', 'adapter') if parts[part]]
        for group in optimizer.param_groups:
            own = [p for p in group['params'] if id(p) not in ours]
            if own:
                groups.append({
                    **group,
                    **self.settings['host'], 'params': own,
                    'part': 'host'
                })
        optimizer.param_groups = _merge_equal(groups)
        return wrapper


@contextmanager
def _bare_host(model: nn.Module) -> Iterator[None]:
    """The model without its codecs, so that names are the host's."""
    wrapped = [(parent, name, child) for parent in list(model.modules())
               for name, child in parent.named_children()
               if isinstance(child, CodecBackbone)]
    try:
        for parent, name, child in wrapped:
            setattr(parent, name, child.backbone)
        yield
    finally:
        for parent, name, child in wrapped:
            setattr(parent, name, child)


def _merge_equal(groups: list[dict]) -> list[dict]:
    """Join groups that differ in their parameters only."""
    merged = []
    for group in groups:
        for other in merged:
            # A host's constructor may give groups keys of its own.
            if all(k in group and k in other and group[k] == other[k]
                   for k in (group | other).keys() - {'params'}):
                other['params'].extend(group['params'])
                break
        else:
            merged.append(group)
    return merged
