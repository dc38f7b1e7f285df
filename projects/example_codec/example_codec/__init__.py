"""A codec of one's own; importing this registers it."""
from .space_to_depth_codec import SpaceToDepthCodec

__all__ = ['SpaceToDepthCodec']
