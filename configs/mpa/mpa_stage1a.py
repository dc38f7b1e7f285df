"""MPA, stage 1, first half: rate, MSE, LPIPS and the encoder's ratio.

Images (Flicker2W in the paper) in data/flicker2w, Kodak in data/kodak.
"""
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/codecs/mpa.py',
    '../_base_/datasets/picture_crops.py',
    '../_base_/schedules/mpa_stage1.py',
]
model = dict(
    type='mmhmc.GenerativeCodecModel',
    codec=dict(_base_.codec, tasks=[]),
    discriminator=None,
    condition=dict(quality=8))
train_dataloader = dict(batch_size=8, dataset=dict(data_root='data/flicker2w'))
