"""MPA at a width that trains on a CPU.

Bottlenecks would have 16 to 32 hidden channels there, too few for a task:
all side paths of the decoder are inverted.
"""
codec = dict(
    type='mmhmc.MPA',
    tasks=dict(
        mse='inverted',
        cls='inverted',
        seg='inverted',
        det='inverted',
        imagenet='inverted'),
    hidden_channels=(32, 48, 64),
    latent_channels=96,
    hyper_channels=48,
    depths=(1, 1, 2, 1, 1, 1),
    drop_path=0.)
