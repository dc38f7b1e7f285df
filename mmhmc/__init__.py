"""Learned image codecs in front of OpenMMLab models.

The public names below are loaded when they are first used, so ``import mmhmc``
costs next to nothing.
"""
from importlib import import_module

from .compat import prepare_mmengine
from .former_names import former_attribute
from .version import __version__

_PUBLIC = {
    'mmhmc.adapters': ('DynamicAdaptation', 'MachineSynthesis'),
    'mmhmc.codecs':
    ('AVIF', 'Cheng2020Anchor', 'Cheng2020Attention', 'DCVCUFIntra', 'ELIC',
     'FactorizedPrior', 'HEVCIntra', 'IdentityCodec', 'ImageCodec', 'JPEG',
     'JPEGXL', 'JointAutoregressive', 'JointAutoregressiveVBR',
     'LayeredGenerative', 'MPA', 'MRIC', 'MeanScaleHyperprior',
     'MeanScaleHyperpriorVBR', 'ScaleHyperprior', 'ScaleHyperpriorVBR',
     'TinyLIC', 'VVCIntra', 'WebP'),
    'mmhmc.engine':
    ('AlternatingOptimWrapperConstructor', 'AutocastHook',
     'CodecOptimWrapperConstructor', 'EntropyTableHook', 'FiniteLossHook',
     'KLTInitHook', 'LayerDrawHook', 'LmbdaScheduleHook', 'Muon',
     'RandomStateHook', 'RateLossHook', 'TrainingStageHook'),
    'mmhmc.evaluation':
    ('AttributeAccuracy', 'BitrateMetric', 'DISTSMetric', 'FIDMetric',
     'KIDMetric', 'LPIPSMetric', 'MSSSIMMetric', 'NIQEMetric', 'PSNRMetric',
     'PointsMetric', 'SSIMMetric', 'SavingMetric'),
    'mmhmc.losses':
    ('BackboneLoss', 'EfficientNetLoss', 'FeatureLoss', 'HingeLoss',
     'LPIPSLoss', 'MSSSIMLoss', 'NonSaturatingLoss', 'PatchDiscriminator',
     'TwoScaleDiscriminator', 'YCbCrError'),
    'mmhmc.models':
    ('CodecBackbone', 'CodecModel', 'CompressedDomainNeck',
     'EfficientNetLite0', 'GenerativeCodecModel', 'LatentBackbone',
     'LayeredCodecModel', 'MultiTaskModel', 'ImageStem', 'PointsHead'),
    'mmhmc.structures': ('CodecOutput', 'CodingCondition'),
    'mmhmc.visualization': ('CodecVisualizationHook', ),
}
_MODULE_OF = {name: module for module in _PUBLIC for name in _PUBLIC[module]}

__all__ = ['__version__', *sorted(_MODULE_OF)]

prepare_mmengine()


def __getattr__(name: str):
    if name in _MODULE_OF:
        return getattr(import_module(_MODULE_OF[name]), name)
    return former_attribute(__name__)(name)


def __dir__():
    return __all__
