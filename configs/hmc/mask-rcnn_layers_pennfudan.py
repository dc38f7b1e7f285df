"""The base of a file for Mask R-CNN, on Penn-Fudan.

As `mask-rcnn_layers_sample.py`; detector and codec come first, as in
`mask-rcnn_dynadapt_pennfudan.py`.
"""
_base_ = ['mask-rcnn_dynadapt_pennfudan.py']
model = dict(
    backbone=dict(
        codec=dict(layers=[3]),
        machine_layers=1,
        adapter=dict(_delete_=True, type='mmhmc.MachineSynthesis')))
objective = dict(lmbda_distortion=0.)
training_stages = dict(
    _delete_=True, reader=dict(begin=0, trainable=['adapter']))
