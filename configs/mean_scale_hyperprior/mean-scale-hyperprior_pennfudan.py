"""A small codec for people on the train images of Penn-Fudan."""
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/codecs/mean-scale-hyperprior_small.py',
    '../_base_/schedules/codec_pretrain_small.py',
]
model = dict(type='mmhmc.CodecModel', codec=_base_.codec)
data_help = ('Link a COCO-format copy of Penn-Fudan to data/pennfudan: '
             'images/, instances_train.json, instances_val.json.')
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='mmdet.CocoDataset',
        data_root='data/pennfudan',
        ann_file='instances_train.json',
        data_prefix=dict(img='images/'),
        metainfo=dict(classes=('person', )),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='mmhmc.RandomCropOrPad', crop_size=128),
            dict(type='mmhmc.PackImageInputs')
        ]))
train_cfg = dict(max_iters=3500)
param_scheduler = [dict(_base_.param_scheduler[0], T_max=3500)]
default_hooks = dict(checkpoint=dict(interval=500, max_keep_ckpts=2))
randomness = dict(seed=0)
