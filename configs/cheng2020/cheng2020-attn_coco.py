"""Stage A of the dynamic-adaptation paper: the codec for people.

Four rates by `--lmbda`: 0.0018, 0.0035, 0.0067, 0.013. Not trained here.
"""
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/codecs/cheng2020-attn.py',
    '../_base_/datasets/picture_crops.py',
    '../_base_/schedules/codec_pretrain.py',
]
model = dict(type='mmhmc.CodecModel', codec=_base_.codec)
