from mmhmc.codecs import IdentityCodec

codec = dict(type=IdentityCodec)
