"""Perceptual distance by the features of a host's backbone."""
from collections.abc import Sequence
from copy import deepcopy
from functools import partial

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmhmc.input_norm import InputNorm
from mmhmc.part_weights import load_pretrained, pretrained
from mmhmc.registry import MODELS
from .perceptual_loss import PerceptualLoss, feature_distance


@MODELS.register_module()
class BackboneLoss(PerceptualLoss):
    """Distance of the features of a trained, frozen backbone.

    Like LPIPS, but by any network, e.g. the machine's own. It needs no labels,
    so a codec can learn from any images what a machine needs, instead of
    overfitting to a small labelled data set. Distances are averaged over
    stages. Distances of vectors of length 1, as in LPIPS, let colours and
    contrast drift; a host that reads the features themselves may need
    ``unit=False``.

    .. code-block:: python

        perceptual=dict(
            type='mmhmc.BackboneLoss',
            backbone=_base_.model.backbone,     # with its init_cfg
            input_norm=_base_.model.data_preprocessor)

    Its values cannot be compared with those of LPIPS. If the host sees the
    same images, by the same frozen backbone, ``RateLossHook`` uses the
    features that the host has computed, see :meth:`watch`.

    Reference:
        J. Johnson, A. Alahi, L. Fei-Fei: "Perceptual Losses for Real-Time
        Style Transfer and Super-Resolution", ECCV 2016,
        https://arxiv.org/abs/1603.08155, for features as a distance; their
        length is LPIPS's (Zhang et al. 2018).

    Args:
        backbone: Config of a backbone that returns one or several feature
            maps (B, C, H, W).
        input_norm: The data preprocessor config of its host, or an
            :class:`InputNorm`: normalisation that the backbone expects.
        unit: Whether vectors are normalised to length 1; if not, squared
            differences are divided by the mean square of the original's
            features.
        checkpoint: File of the host's weights, whose keys ``backbone.`` are
            used; by default the backbone's own ``init_cfg``.
        neck: Config of the host's neck: its outputs, which a head reads, are
            compared in place of the backbone's. Its weights are the keys
            ``neck.`` of ``checkpoint``.

    Raises:
        OSError: If a file cannot be read.
        ValueError: If no weights are named, or some are missing.
    """

    def __init__(self,
                 backbone: dict,
                 input_norm: InputNorm | dict,
                 unit: bool = True,
                 checkpoint: str | None = None,
                 neck: dict | None = None) -> None:
        network = nn.Module()
        network.backbone = _build_part('backbone', backbone, checkpoint)
        network.neck = neck and _build_part('neck', neck, checkpoint)
        network.norm = InputNorm.from_preprocessor(input_norm)
        super().__init__(network)
        self.unit = unit
        self._taps: list[str] | None = None
        self._compared: tuple = ()

    def watch(self, backbone: nn.Module,
              norm: InputNorm) -> 'FeatureWatch | None':
        """Keep the features that a host's backbone is about to compute.

        Args:
            backbone: Backbone of the host.
            norm: Normalisation that it expects.

        Returns:
            The object that keeps them; None if the backbone is not that of
            this loss, or if the loss has compared nothing yet.
        """
        if self._networks[0].neck is not None or not self._taps \
                or not _stands_still(backbone) \
                or not self._is_equal(backbone, norm):
            return None
        return FeatureWatch(backbone, self._taps)

    def distance_of(self, x: Tensor, features: Sequence[Tensor]) -> Tensor:
        """Compare images with the features of a :class:`FeatureWatch`.

        Args:
            x: As in :meth:`forward`.
            features: Features of the images that are compared with ``x``.

        Returns:
            See :meth:`forward`.
        """
        network = self._networks[0].to(x.device)
        with torch.autocast(x.device.type, enabled=False), torch.no_grad():
            originals = _features(network, x.float())
        return self._mean(originals, features)

    def _is_equal(self, backbone: nn.Module, norm: InputNorm) -> bool:
        """Whether a backbone computes the same features as this loss's.

        Weights are compared only when they have changed: that takes time, and
        waits for a GPU.
        """
        own = self._networks[0]
        given = dict(backbone.named_parameters())
        given.update(backbone.named_buffers())
        given.update(mean=norm.mean, std=norm.std)
        # Writing into a tensor increases its version.
        state = [(id(t), t._version) for t in given.values()]
        if not self._compared or self._compared[0] != state:
            wanted = dict(
                own.backbone.state_dict(),
                mean=own.norm.mean,
                std=own.norm.std)
            equal = (
                type(backbone) is type(own.backbone)
                and norm.flipped == own.norm.flipped and all(
                    name in given and torch.equal(t, given[name].to(t.device))
                    for name, t in wanted.items()))
            self._compared = (state, equal)
        return self._compared[1]

    def distance(self, network: nn.Module, x: Tensor, x_hat: Tensor) -> Tensor:
        """See :meth:`PerceptualLoss.distance`; in [0, 4] if ``unit``."""
        with torch.no_grad():
            if self._taps is None and network.neck is None:
                self._taps = _find_taps(network, x)
            originals = _features(network, x)
        return self._mean(originals, _features(network, x_hat))

    def _mean(self, originals: Sequence[Tensor],
              decoded: Sequence[Tensor]) -> Tensor:
        """Mean distance of all feature maps."""
        compare = feature_distance if self.unit else _relative_error
        return sum(map(compare, originals, decoded)) / len(originals)


class FeatureWatch:
    """Keeps feature maps that a backbone computes.

    Args:
        backbone: Backbone of a host.
        taps: Names of its modules whose outputs are kept.
    """

    def __init__(self, backbone: nn.Module, taps: Sequence[str]) -> None:
        self._found = {name: [] for name in taps}
        self._handles = [
            backbone.get_submodule(name).register_forward_hook(
                partial(self._note, name)) for name in taps
        ]

    def _note(self, name: str, module: nn.Module, args: tuple,
              output: Tensor) -> None:
        self._found[name].append(output)

    def end(self) -> list[Tensor] | None:
        """Remove the hooks from the backbone.

        Returns:
            The features, in the order of the names; None unless the backbone
            has run exactly once, in float32.
        """
        for handle in self._handles:
            handle.remove()
        once = all(
            len(outputs) == 1 and outputs[0].dtype == torch.float32
            for outputs in self._found.values())
        return [one for one, in self._found.values()] if once else None


def _find_taps(network: nn.Module, x: Tensor) -> list[str]:
    """Names of the modules that output the features.

    Empty if a feature is not the output of a module.
    """
    noted = {}

    def note(name: str, module: nn.Module, args: tuple, output) -> None:
        noted.setdefault(id(output), (name, output))

    handles = [
        module.register_forward_hook(partial(note, name))
        for name, module in network.backbone.named_modules()
    ]
    try:
        features = _features(network, x[:1])
    finally:
        for handle in handles:
            handle.remove()
    names = [noted.get(id(one), ('', ))[0] for one in features]
    return names if all(names) else []


def _stands_still(backbone: nn.Module) -> bool:
    """Whether a backbone is frozen, with its statistics and dropout."""
    moving = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)
    return not any(p.requires_grad for p in backbone.parameters()) and not any(
        module.training and
        (isinstance(module, moving) or type(module).__name__ == 'DropPath')
        for module in backbone.modules())


def _features(network: nn.Module, x: Tensor) -> Sequence[Tensor]:
    features = network.backbone(network.norm.from_image(x))
    if network.neck is not None:
        features = network.neck(features)
    return (features, ) if isinstance(features, Tensor) else features


def _build_part(name: str, part: dict, checkpoint: str | None) -> nn.Module:
    """A trained part of a host, by its name there."""
    part = deepcopy(part)
    if checkpoint is not None:
        part['init_cfg'] = dict(
            type='Pretrained', checkpoint=checkpoint, prefix=f'{name}.')
    init = pretrained(part.get('init_cfg'))
    if init is None:
        raise ValueError(
            f'BackboneLoss compares by a trained {name}; give its weights as '
            f'`checkpoint` or as `init_cfg` of `{name}`.')
    built = MODELS.build(part)
    _take_weights(built, init)
    return built


def _take_weights(backbone: nn.Module, init: dict) -> None:
    """Initialise a backbone as mmengine does, and check that all is loaded."""
    if type(backbone).init_weights is BaseModule.init_weights:
        load_pretrained(backbone, init, others=True)
        return
    # Some backbones rename and resize weights while reading them, so names
    # cannot be compared.
    before = {
        name: weight.clone()
        for name, weight in backbone.named_parameters() if weight.ndim > 1
    }
    backbone.init_weights()
    same = [
        name for name, weight in backbone.named_parameters()
        if name in before and torch.equal(weight, before[name])
    ]
    if same:
        raise ValueError(
            f"{init['checkpoint']} does not fit {type(backbone).__name__}: "
            f'{len(same)} of {len(before)} weights are not in it, first '
            f'{same[0]}.')


def _relative_error(one: Tensor, other: Tensor) -> Tensor:
    error = (one - other).square().mean(dim=(1, 2, 3))
    return error / one.square().mean(dim=(1, 2, 3)).clamp(min=1e-12)
