codec = dict(type='mmhmc.IdentityCodec')
