"""Image to bits to image: one file per paper."""
from .base import ImageCodec, build_codec
from .bmshj2018 import FactorizedPrior, ScaleHyperprior
from .cheng2020 import Cheng2020Anchor, Cheng2020Attention
from .identity import IdentityCodec
from .mbt2018 import JointAutoregressive, MeanScaleHyperprior

__all__ = [
    'Cheng2020Anchor', 'Cheng2020Attention', 'FactorizedPrior',
    'IdentityCodec', 'ImageCodec', 'JointAutoregressive',
    'MeanScaleHyperprior', 'ScaleHyperprior', 'build_codec'
]
