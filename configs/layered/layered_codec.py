"""Layered generative codec on faces, for people.

The folder is made by `python tools/dataset_converters/celebamask_hq.py
SOURCE`. LPIPS needs the weights of its backbone; without them
`--cfg-options model.perceptual.type=mmhmc.FeatureLoss`. Ablations:
`model.codec.fusion=concat`, `model.codec.base_only_rate=1` (no texture),
`model.discriminator=None` (no GAN), `model.codec.driver=semantic
model.codec.texture_stride=32`. Not trained here.
"""
_base_ = [
    '../_base_/codec_models/layered.py',
    '../_base_/codecs/layered.py',
]
model = dict(codec=_base_.codec)
