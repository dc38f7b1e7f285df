codec = dict(type='mmhmc.TinyLIC', variable_rate=True)
