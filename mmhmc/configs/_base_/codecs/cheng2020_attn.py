from mmhmc.codecs import Cheng2020Attention

codec = dict(type=Cheng2020Attention, hidden_channels=192)
