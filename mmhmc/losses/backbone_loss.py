"""Distance of images as the backbone of a host sees them."""
from collections.abc import Sequence
from copy import deepcopy
from functools import partial
from typing import Optional, Union

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmhmc.input_norm import InputNorm
from mmhmc.part_weights import load_pretrained, pretrained
from mmhmc.registry import MODELS
from .perceptual_loss import PerceptualLoss, feature_distance


@MODELS.register_module()
class BackboneLoss(PerceptualLoss):
    """Distance of the features of a trained backbone, which stands still.

    Like LPIPS, but by a network that is at hand: the machine's own, say. It
    needs no labels, so a codec learns from any images what a machine needs,
    and not by heart what a small data set shows. Distances are averaged over
    stages. Those of LPIPS, of vectors of length 1, let colours and contrast
    drift; a host that reads the features themselves may need ``unit=False``.

    .. code-block:: python

        perceptual=dict(
            type='mmhmc.BackboneLoss',
            backbone=_base_.model.backbone,     # with its init_cfg
            input_norm=_base_.model.data_preprocessor)

    Its values are not those of LPIPS. Where the images are those that a
    host sees, and its backbone is the same and stands still, ``RateLossHook``
    takes the host's features of them, see :meth:`watch`.

    Reference:
        J. Johnson, A. Alahi, L. Fei-Fei: "Perceptual Losses for Real-Time
        Style Transfer and Super-Resolution", ECCV 2016,
        https://arxiv.org/abs/1603.08155, for features as a distance; their
        length is LPIPS's (Zhang et al. 2018).

    Args:
        backbone: Config of a backbone that returns one or several feature
            maps (B, C, H, W).
        input_norm: The data preprocessor config of its host, or an
            :class:`InputNorm`: what the backbone expects.
        unit: Whether vectors are brought to length 1; if not, squared
            differences are measured by the mean square of the original's
            features.
        checkpoint: File of the host's weights, of which it takes those of
            ``backbone.``; by default the backbone's own ``init_cfg``.

    Raises:
        OSError: If a file cannot be read.
        ValueError: If there are no weights to begin with, or not all.
    """

    def __init__(self,
                 backbone: dict,
                 input_norm: Union[InputNorm, dict],
                 unit: bool = True,
                 checkpoint: Optional[str] = None) -> None:
        backbone = deepcopy(backbone)
        if checkpoint is not None:
            backbone['init_cfg'] = dict(
                type='Pretrained', checkpoint=checkpoint, prefix='backbone.')
        init = pretrained(backbone.get('init_cfg'))
        if init is None:
            raise ValueError(
                'BackboneLoss compares by a trained backbone; give its '
                'weights as `checkpoint` or as `init_cfg` of `backbone`.')
        network = nn.Module()
        network.backbone = MODELS.build(backbone)
        _take_weights(network.backbone, init)
        network.norm = (
            input_norm if isinstance(input_norm, InputNorm) else
            InputNorm.from_preprocessor(input_norm))
        super().__init__(network)
        self.unit = unit
        self._taps: Optional[list[str]] = None
        self._compared: tuple = ()

    def watch(self, backbone: nn.Module,
              norm: InputNorm) -> Optional['FeatureWatch']:
        """Note the features that a host's backbone is about to compute.

        Args:
            backbone: The host's.
            norm: What it expects.

        Returns:
            What notes them; None if they are not those of this loss, or if it
            has compared nothing yet.
        """
        if not self._taps or not _stands_still(backbone) \
                or not self._is_equal(backbone, norm):
            return None
        return FeatureWatch(backbone, self._taps)

    def distance_of(self, x: Tensor, features: Sequence[Tensor]) -> Tensor:
        """Compare images with what a :class:`FeatureWatch` has noted.

        Args:
            x: As in :meth:`forward`.
            features: Of what is compared with it.

        Returns:
            As of :meth:`forward`.
        """
        network = self._networks[0].to(x.device)
        with torch.autocast(x.device.type, enabled=False), torch.no_grad():
            originals = _features(network, x.float())
        return self._mean(originals, features)

    def _is_equal(self, backbone: nn.Module, norm: InputNorm) -> bool:
        """Whether a backbone computes what this loss's does.

        Weights are compared when they have changed: it takes time, and on a
        GPU it is waited for.
        """
        own = self._networks[0]
        given = dict(backbone.named_parameters())
        given.update(backbone.named_buffers())
        given.update(mean=norm.mean, std=norm.std)
        # What writes into a tensor counts its version up.
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
            if self._taps is None:
                self._taps = _find_taps(network, x)
            originals = _features(network, x)
        return self._mean(originals, _features(network, x_hat))

    def _mean(self, originals: Sequence[Tensor],
              decoded: Sequence[Tensor]) -> Tensor:
        """Mean distance of all feature maps."""
        compare = feature_distance if self.unit else _relative_error
        return sum(map(compare, originals, decoded)) / len(originals)


class FeatureWatch:
    """Notes feature maps while a backbone computes them.

    Args:
        backbone: Whose they are.
        taps: Names of the modules that compute them.
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

    def end(self) -> Optional[list[Tensor]]:
        """Take the hooks away.

        Returns:
            The features, in the order of the names; None if the backbone has
            not run once, and in float32.
        """
        for handle in self._handles:
            handle.remove()
        once = all(
            len(outputs) == 1 and outputs[0].dtype == torch.float32
            for outputs in self._found.values())
        return [one for one, in self._found.values()] if once else None


def _find_taps(network: nn.Module, x: Tensor) -> list[str]:
    """Modules whose outputs are the features; none if there are others."""
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
    """Whether nothing in a backbone learns or moves."""
    moving = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)
    return not any(p.requires_grad for p in backbone.parameters()) and not any(
        module.training and
        (isinstance(module, moving) or type(module).__name__ == 'DropPath')
        for module in backbone.modules())


def _features(network: nn.Module, x: Tensor) -> Sequence[Tensor]:
    features = network.backbone(network.norm.from_image(x))
    return (features, ) if isinstance(features, Tensor) else features


def _take_weights(backbone: nn.Module, init: dict) -> None:
    """Initialise a backbone as mmengine does, and see that all is taken.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it lacks weights.
    """
    if type(backbone).init_weights is BaseModule.init_weights:
        load_pretrained(backbone, init, others=True)
        return
    # Some rename and resize what they read, so names tell nothing.
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
