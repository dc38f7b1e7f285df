"""Where a codec meets a host."""
from mmhmc.former_names import former_attribute
from .codec_backbone import CodecBackbone
from .codec_model import CodecModel
from .compressed_domain_neck import CompressedDomainNeck
from .efficientnet_lite import EfficientNetLite0
from .generative_codec_model import GenerativeCodecModel
from .image_coding import ImageCoding
from .image_stem import ImageStem
from .latent_backbone import LatentBackbone, LatentFeatures
from .layered_codec_model import LayeredCodecModel
from .multi_task_model import MultiTaskModel
from .points_head import PointsHead

__all__ = [
    'CodecBackbone', 'CodecModel', 'CompressedDomainNeck', 'EfficientNetLite0',
    'GenerativeCodecModel', 'LatentBackbone', 'LatentFeatures',
    'LayeredCodecModel', 'MultiTaskModel', 'ImageCoding', 'ImageStem',
    'PointsHead'
]

__getattr__ = former_attribute(__name__)
