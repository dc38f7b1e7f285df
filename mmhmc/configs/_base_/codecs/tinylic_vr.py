from mmhmc.codecs import TinyLIC

codec = dict(type=TinyLIC, variable_rate=True)
