"""Where a codec meets a host."""
from .codec_backbone import CodecBackbone
from .codec_model import CodecModel
from .picture_coding import PictureCoding

__all__ = ['CodecBackbone', 'CodecModel', 'PictureCoding']
