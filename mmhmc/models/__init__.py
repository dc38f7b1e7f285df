"""Where a codec meets a host."""
from .codec_backbone import CodecBackbone
from .codec_model import CodecModel
from .compressed_domain_neck import CompressedDomainNeck
from .generative_codec_model import GenerativeCodecModel
from .latent_backbone import LatentBackbone, LatentFeatures
from .layered_codec_model import LayeredCodecModel
from .multi_task_model import MultiTaskModel
from .picture_coding import PictureCoding
from .picture_stem import PictureStem
from .points_head import PointsHead

__all__ = [
    'CodecBackbone', 'CodecModel', 'CompressedDomainNeck',
    'GenerativeCodecModel', 'LatentBackbone', 'LatentFeatures',
    'LayeredCodecModel', 'MultiTaskModel', 'PictureCoding', 'PictureStem',
    'PointsHead'
]
