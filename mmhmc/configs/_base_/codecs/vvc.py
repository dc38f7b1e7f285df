from mmhmc.codecs import VVCIntra

codec = dict(type=VVCIntra, quality=37, chroma='420', bit_depth=10)
