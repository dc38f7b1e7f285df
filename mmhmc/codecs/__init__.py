"""Image to bits to image: one file per paper, and standard codecs."""
from .base import ImageCodec, build_codec
from .bmshj2018 import FactorizedPrior, ScaleHyperprior
from .cheng2020 import Cheng2020Anchor, Cheng2020Attention
from .dcvc_uf import DCVCUFIntra
from .elic import ELIC
from .identity import IdentityCodec
from .kamisli2024 import (JointAutoregressiveVBR, MeanScaleHyperpriorVBR,
                          ScaleHyperpriorVBR)
from .layered import LayeredGenerative
from .mbt2018 import JointAutoregressive, MeanScaleHyperprior
from .mpa import MPA
from .mric import MRIC
from .standard import AVIF, JPEG, JPEGXL, HEVCIntra, VVCIntra, WebP
from .tinylic import TinyLIC

__all__ = [
    'AVIF',
    'Cheng2020Anchor',
    'Cheng2020Attention',
    'DCVCUFIntra',
    'ELIC',
    'FactorizedPrior',
    'HEVCIntra',
    'IdentityCodec',
    'ImageCodec',
    'JPEG',
    'JPEGXL',
    'JointAutoregressive',
    'JointAutoregressiveVBR',
    'LayeredGenerative',
    'MPA',
    'MRIC',
    'MeanScaleHyperprior',
    'MeanScaleHyperpriorVBR',
    'ScaleHyperprior',
    'ScaleHyperpriorVBR',
    'TinyLIC',
    'VVCIntra',
    'WebP',
    'build_codec',
]
