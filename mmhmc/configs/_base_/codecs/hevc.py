from mmhmc.codecs import HEVCIntra

codec = dict(type=HEVCIntra, quality=37, chroma='444', bit_depth=8)
