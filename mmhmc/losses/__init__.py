"""What an image costs beside its rate and its squared error."""
from .backbone_loss import BackboneLoss
from .feature_loss import FeatureLoss
from .feature_matching import match_features
from .hinge_loss import HingeLoss
from .lpips_loss import LPIPSLoss
from .ms_ssim_loss import MSSSIMLoss
from .non_saturating_loss import NonSaturatingLoss
from .patch_discriminator import PatchDiscriminator
from .perceptual_loss import PerceptualLoss
from .random_shift import shift_together
from .two_scale_discriminator import TwoScaleDiscriminator

__all__ = [
    'BackboneLoss', 'FeatureLoss', 'HingeLoss', 'LPIPSLoss', 'MSSSIMLoss',
    'NonSaturatingLoss', 'PatchDiscriminator', 'PerceptualLoss',
    'TwoScaleDiscriminator', 'match_features', 'shift_together'
]
