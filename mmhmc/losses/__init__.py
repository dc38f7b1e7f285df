"""Losses: rate-distortion, perceptual and adversarial."""
from mmhmc.former_names import former_attribute
from .backbone_loss import BackboneLoss
from .efficientnet_loss import EfficientNetLoss
from .feature_loss import FeatureLoss
from .feature_matching import feature_matching_loss
from .hinge_loss import HingeLoss
from .lpips_loss import LPIPSLoss
from .ms_ssim_loss import MSSSIMLoss
from .non_saturating_loss import NonSaturatingLoss
from .pad_crop_resize import random_pad_crop_resize
from .patch_discriminator import PatchDiscriminator
from .perceptual_loss import PerceptualLoss
from .two_scale_discriminator import TwoScaleDiscriminator
from .ycbcr_error import YCbCrError

__all__ = [
    'BackboneLoss', 'EfficientNetLoss', 'FeatureLoss', 'HingeLoss',
    'LPIPSLoss', 'MSSSIMLoss', 'NonSaturatingLoss', 'PatchDiscriminator',
    'PerceptualLoss', 'TwoScaleDiscriminator', 'YCbCrError',
    'feature_matching_loss', 'random_pad_crop_resize'
]

__getattr__ = former_attribute(__name__)
