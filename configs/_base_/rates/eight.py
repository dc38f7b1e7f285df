"""Eight rates in one set of weights, for any codec.

The weights of the distortion are those of small codecs at about 0.1 to 0.45
bpp; they rise by half an octave.
"""
rates = dict(
    codec=dict(variable_rate=True, num_qualities=8),
    train_condition=dict(quality=[1, 2, 3, 4, 5, 6, 7, 8]),
    lmbda_distortion=[
        0.0009, 0.0013, 0.0018, 0.0025, 0.0035, 0.0048, 0.0067, 0.0093
    ])
