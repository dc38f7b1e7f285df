"""The base of a file for Mask R-CNN, on the built-in data set.

One file in two layers: the detector sees the base alone, by a synthesis of its
own, and people see all of it. Codec and detector come trained and stay as they
are, so people's files and images are those of the codec; only the machine's
synthesis learns. With codec and detector learning, too:
`training_stages.reader.trainable="[codec,adapter]" objective.beta=0.5
objective.lmbda_distortion=0.0035` after `--cfg-options`.
"""
_base_ = ['mask-rcnn_dynadapt_sample.py']
model = dict(
    backbone=dict(
        codec=dict(layers=[3]),
        machine_layers=1,
        adapter=dict(_delete_=True, type='mmhmc.MachineSynthesis')))
objective = dict(lmbda_distortion=0.)
training_stages = dict(
    _delete_=True, reader=dict(begin=0, trainable=['adapter']))
