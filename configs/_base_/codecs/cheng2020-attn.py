codec = dict(type='mmhmc.Cheng2020Attention', hidden_channels=192)
