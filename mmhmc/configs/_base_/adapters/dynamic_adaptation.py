from mmhmc.adapters import DynamicAdaptation

adapter = dict(type=DynamicAdaptation, width=64)
