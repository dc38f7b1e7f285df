"""The base of a file for YOLOX-nano, on a part of COCO.

As `mask-rcnn_layers_sample.py`. The codec for people comes first, unless it is
given: `--cfg-options model.backbone.codec.init_cfg.checkpoint=FILE`.
"""
_base_ = ['yolox-nano_dynadapt_coco.py']
model = dict(
    backbone=dict(
        codec=dict(layers=[3]),
        machine_layers=1,
        adapter=dict(_delete_=True, type='mmhmc.MachineSynthesis')))
objective = dict(lmbda_distortion=0., perceptual_of='x_bar')
training_stages = dict(
    _delete_=True, by_epoch=False, reader=dict(begin=0, trainable=['adapter']))
