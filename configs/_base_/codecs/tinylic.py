codec = dict(type='mmhmc.TinyLIC')
