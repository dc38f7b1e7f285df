"""Bases for configs in mmengine's lazy style, in which configs are imported.

The two styles do not mix, so what ``configs/_base_`` has as text is here
again, under names that can be imported: codecs, adaptation, schedules, data
and runtime. A config of one's own puts a codec in front of a host's lazy
config as it would put any backbone::

    from mmengine.config import read_base

    from mmhmc.models import CodecBackbone

    with read_base():
        from mmhmc.configs._base_.codecs.elic import codec
        from mmhmc.configs._base_.schedules.joint_adapt import *
        from .my_detector import *

    model.backbone = dict(
        type=CodecBackbone,
        codec=codec,
        backbone=model.backbone,
        input_norm=model.data_preprocessor)

``hmc`` has a whole one. The hosts' wheels come without their lazy configs
(``mmdet.configs``); a checkout of the host has them.
"""
