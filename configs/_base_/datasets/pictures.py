"""Crops of 128x128 from all images in data/pictures, for small codecs."""
_base_ = ['./picture_crops.py']
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    persistent_workers=True,
    dataset=dict(
        data_root='data/pictures',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='mmhmc.RandomCropOrPad', crop_size=128),
            dict(type='mmhmc.PackImageInputs')
        ]))
