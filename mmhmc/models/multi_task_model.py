"""Heads of several hosts on shared features."""
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from mmhmc.functional.devices import to_device
from mmhmc.functional.task_losses import weigh_losses
from mmhmc.registry import MODELS, build_part


@MODELS.register_module()
class MultiTaskModel(BaseModel):
    """One backbone and one trunk with the necks and heads of several hosts.

    .. code-block:: none

                                          ┌─► segmentor's head ──► classes
        inputs ─► backbone ─► trunk ──────┼─► classifier's neck, head ─► labels
                  (LatentBackbone: bits)  └─► ...

    A task is the config of any host model with ``extract_feat``, with its
    scope as ``_scope_`` and without a backbone. Its neck and heads work on the
    trunk's features and learn from the data samples. A task in ``targets``
    learns from numbers in their meta information instead: heads find these as
    ``gt_score``, and predictions are in a field called like the task, with
    ``gt_score`` and ``pred_score``.

    With a ``LatentBackbone`` this is the task-agnostic analysis of layered
    generative coding: an image is coded once, and heads can be added to a
    codec that knew nothing of them.

    Args:
        backbone: Backbone, or its config.
        trunk: Layers after it that all tasks share, e.g.
            ``CompressedDomainNeck``, or their config.
        tasks: For each task its host's config.
        targets: For some tasks the key of the meta information that they
            learn from.
        weights: Weight of the losses of each task, not negative; 1 if left
            out. Losses of a weight of 0 are not computed.
        data_preprocessor: Config, with the scope of its host.
        init_cfg: mmengine's initialisation.

    Raises:
        ValueError: If there is no task, a task has a backbone or no
            ``extract_feat``, a weight is negative, a name is unknown, or a
            target is called like its task.
    """

    def __init__(self,
                 backbone: nn.Module | dict,
                 trunk: nn.Module | dict,
                 tasks: Mapping[str, dict],
                 targets: Mapping[str, str] | None = None,
                 weights: Mapping[str, float] | None = None,
                 data_preprocessor: dict | None = None,
                 init_cfg: dict | None = None) -> None:
        super().__init__(data_preprocessor, init_cfg)
        self.targets, self.weights = dict(targets or {}), dict(weights or {})
        unknown = (set(self.targets) | set(self.weights)) - set(tasks)
        if not tasks or unknown:
            raise ValueError(f'`tasks` must have at least one, and those of '
                             f'`targets` and `weights`; {sorted(tasks)} lacks '
                             f'{sorted(unknown)}.')
        if any(task == key for task, key in self.targets.items()):
            raise ValueError('The key of a target must have another name than '
                             f'its task, got `targets` {self.targets}.')
        if any(not weight >= 0 for weight in self.weights.values()):
            raise ValueError('`weights` must not be negative, got '
                             f'{self.weights}.')
        self.backbone = build_part(backbone)
        self.trunk = build_part(trunk)
        self.tasks = nn.ModuleDict({
            name: _build_host(name, cfg)
            for name, cfg in tasks.items()
        })

    def extract_feat(self, inputs: Tensor) -> Any:
        """Features of images (B, 3, H, W), after the trunk."""
        return self.trunk(self.backbone(inputs))

    def forward(self,
                inputs: Tensor,
                data_samples: list | None = None,
                mode: str = 'tensor') -> Any:
        """Run all tasks.

        Args:
            inputs: From the data preprocessor, shape (B, 3, H, W).
            data_samples: One for each image.
            mode: ``'tensor'``, ``'loss'`` or ``'predict'``.

        Returns:
            The trunk's features; or the losses of all tasks as
            ``TASK.NAME``; or the data samples with all predictions.

        Raises:
            ValueError: If the mode is unknown, or a sample lacks a target.
        """
        if mode not in ('tensor', 'loss', 'predict'):
            raise ValueError("`mode` must be 'tensor', 'loss' or 'predict', "
                             f'got {mode!r}.')
        features = self.extract_feat(inputs)
        if mode == 'tensor':
            return features
        results = {}
        for name, host in self.tasks.items():
            with _seeing(host, features):
                if mode == 'loss':
                    results.update(
                        self._losses(name, host, inputs, data_samples))
                else:
                    self._predict(name, host, inputs, data_samples)
        return results if mode == 'loss' else data_samples

    def _losses(self, name: str, host: nn.Module, inputs: Tensor,
                samples: Sequence) -> dict:
        weight = self.weights.get(name, 1.)
        if weight == 0:
            return {}
        if name in self.targets:
            samples = [self._target(name, s, inputs.device) for s in samples]
        losses = weigh_losses(host.loss(inputs, samples), weight)
        return {f'{name}.{key}': value for key, value in losses.items()}

    def _predict(self, name: str, host: nn.Module, inputs: Tensor,
                 samples: Sequence) -> None:
        if name not in self.targets:
            host.predict(inputs, samples)
            return
        for sample, found in zip(samples, host.predict(inputs, None)):
            result = self._target(name, sample, inputs.device)
            result.set_field(found.pred_score, 'pred_score')
            sample.set_field(result, name)

    def _target(self, name: str, sample: BaseDataElement,
                device: torch.device) -> BaseDataElement:
        """The target of a task for an image, as ``gt_score``."""
        key = self.targets[name]
        if key not in sample.metainfo:
            raise ValueError(
                f'A data sample has no meta information {key!r} for the task '
                f'{name!r}, only {sorted(sample.metainfo)}. Add it to '
                '`meta_keys` of what packs the samples.')
        target = BaseDataElement(
            metainfo=dict(img_shape=sample.metainfo.get('img_shape')))
        score = to_device(sample.metainfo[key], device).float()
        target.set_field(score, 'gt_score')
        return target


def _build_host(name: str, cfg: dict) -> nn.Module:
    """A host model without its backbone."""
    if cfg.get('backbone') is not None:
        raise ValueError(f'The task {name!r} has a backbone of its own; its '
                         'features come from the trunk.')
    host = MODELS.parent.build(dict(cfg, backbone=dict(type=nn.Identity)))
    if not hasattr(host, 'extract_feat'):
        raise ValueError(f'The task {name!r} is a {type(host).__name__}, '
                         'which has no `extract_feat`.')
    return host


@contextmanager
def _seeing(host: nn.Module, features: Any):
    """Give a host these features, after its neck if it has one."""
    neck = getattr(host, 'neck', None)

    def extract_feat(*args, **kwargs):
        return features if neck is None else neck(features)

    host.extract_feat = extract_feat
    try:
        yield
    finally:
        del host.extract_feat
