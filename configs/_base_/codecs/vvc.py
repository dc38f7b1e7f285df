codec = dict(type='mmhmc.VVCIntra', quality=37, chroma='420', bit_depth=10)
