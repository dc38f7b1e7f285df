"""Random crops of all images of a folder; whole Kodak images to test."""
from mmcv.transforms import LoadImageFromFile, RandomFlip
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.runner import TestLoop

from mmhmc.datasets import ImageFolder, PackImageInputs, RandomCropOrPad
from mmhmc.evaluation import BitrateMetric, MSSSIMMetric, PSNRMetric

train_dataloader = dict(
    batch_size=16,
    num_workers=4,
    sampler=dict(type=InfiniteSampler, shuffle=True),
    dataset=dict(
        type=ImageFolder,
        data_root='data/coco/train2017',
        pipeline=[
            dict(type=LoadImageFromFile),
            dict(type=RandomCropOrPad, crop_size=256),
            dict(type=RandomFlip, prob=0.5),
            dict(type=PackImageInputs)
        ]))
test_dataloader = dict(
    batch_size=1,
    num_workers=2,
    sampler=dict(type=DefaultSampler, shuffle=False),
    dataset=dict(
        type=ImageFolder,
        data_root='data/kodak',
        pipeline=[dict(type=LoadImageFromFile),
                  dict(type=PackImageInputs)]))
test_cfg = dict(type=TestLoop)
test_evaluator = [
    dict(type=BitrateMetric),
    dict(type=PSNRMetric),
    dict(type=MSSSIMMetric)
]
