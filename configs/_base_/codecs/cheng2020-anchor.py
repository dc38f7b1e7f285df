codec = dict(type='mmhmc.Cheng2020Anchor', hidden_channels=192)
