codec = dict(type='mmhmc.HEVCIntra', quality=37, chroma='444', bit_depth=8)
