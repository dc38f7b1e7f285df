adapter = dict(type='mmhmc.DynamicAdaptation', width=64)
