from mmhmc.codecs import Cheng2020Anchor

codec = dict(type=Cheng2020Anchor, hidden_channels=192)
