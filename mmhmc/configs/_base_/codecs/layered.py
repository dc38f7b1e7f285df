from mmhmc.codecs import LayeredGenerative

codec = dict(
    type=LayeredGenerative,
    hidden_channels=128,
    semantic_channels=48,
    texture_channels=64)
