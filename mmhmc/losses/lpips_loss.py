"""LPIPS of Zhang et al. (2018)."""
import warnings

from torch import Tensor, nn

from mmhmc.checkpoints import read_checkpoint
from mmhmc.registry import MODELS
from .perceptual_loss import PerceptualLoss

_BACKBONES = dict(vgg='vgg16', alex='alexnet', squeeze='squeezenet1_1')
_STAND_IN = (
    "mmhmc.EfficientNetLoss, of `pip install 'mmhmc[imagenet]'`, takes "
    'its place, or for tests mmhmc.FeatureLoss; their values are not '
    'comparable.')


@MODELS.register_module()
class LPIPSLoss(PerceptualLoss):
    """Learned perceptual distance, by the package ``lpips``.

    The package contains the weights of its linear layers. Those of the
    backbone are torchvision's for ImageNet; without a connection give their
    file.

    Reference:
        R. Zhang, P. Isola, A. A. Efros, E. Shechtman, O. Wang: "The
        Unreasonable Effectiveness of Deep Features as a Perceptual Metric",
        CVPR 2018. https://arxiv.org/abs/1801.03924

    Args:
        net: ``'vgg'``, ``'alex'`` or ``'squeeze'``. Codecs are mostly trained
            with the first and compared by the second, so that training loss
            and metric differ.
        weights: File or address of torchvision's state dict of that backbone
            (VGG-16, AlexNet, SqueezeNet 1.1); by default torchvision's own
            address, which is fetched once.

    Raises:
        ImportError: If the package is missing.
        RuntimeError: If the backbone's weights cannot be had.
        ValueError: If ``net`` is unknown, or the file is of another network.
    """

    def __init__(self, net: str = 'vgg', weights: str | None = None) -> None:
        if net not in _BACKBONES:
            raise ValueError(f'`net` must be one of {sorted(_BACKBONES)}, '
                             f'got {net!r}.')
        network = _build(net)
        _load_backbone(network.net, _BACKBONES[net], weights)
        super().__init__(network)

    def distance(self, network: nn.Module, x: Tensor, x_hat: Tensor) -> Tensor:
        """See :meth:`PerceptualLoss.distance`."""
        return network(x * 2 - 1, x_hat * 2 - 1).flatten()


def _build(net: str) -> nn.Module:
    """The package's network, with random weights in its backbone."""
    try:
        from lpips import LPIPS
    except ImportError as error:
        raise ImportError(
            'LPIPS needs the package `lpips`; install it by `pip install -r '
            f'requirements/perceptual.txt`. {_STAND_IN}') from error
    with warnings.catch_warnings():
        # The package builds its backbone by a deprecated argument.
        warnings.simplefilter('ignore')
        return LPIPS(net=net, pnet_rand=True, verbose=False)


def _load_backbone(backbone: nn.Module, name: str,
                   weights: str | None) -> None:
    """Put torchvision's weights into the package's slices of its network."""
    source = weights or f'torchvision://{name}'
    try:
        state = read_checkpoint(source)
    except OSError as error:
        raise RuntimeError(
            f"The weights of LPIPS's backbone, torchvision's {name} for "
            f'ImageNet, could not be had from {source}: {error}. Fetch them '
            'elsewhere and give their file: LPIPSLoss(weights=FILE). '
            f'{_STAND_IN}') from error
    state = state.get('state_dict', state)
    # 'slice2.7.weight' is what torchvision calls 'features.7.weight'.
    mine = {
        key: f'features.{key.split(".", 1)[1]}'
        for key in backbone.state_dict()
    }
    wrong = [
        mine[key] for key, value in backbone.state_dict().items()
        if getattr(state.get(mine[key]), 'shape', None) != value.shape
    ]
    if wrong:
        raise ValueError(f"{source} does not hold torchvision's {name}: "
                         f'{wrong[0]} is missing or has another shape.')
    backbone.load_state_dict({key: state[mine[key]] for key in mine})
