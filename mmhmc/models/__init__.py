"""Where a codec meets a host."""
from .codec_backbone import CodecBackbone
from .codec_model import CodecModel
from .compressed_domain_neck import CompressedDomainNeck
from .latent_backbone import LatentBackbone, LatentFeatures
from .picture_coding import PictureCoding

__all__ = [
    'CodecBackbone', 'CodecModel', 'CompressedDomainNeck', 'LatentBackbone',
    'LatentFeatures', 'PictureCoding'
]
