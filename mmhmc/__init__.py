"""Learned image codecs in front of OpenMMLab models.

The public names below are loaded when they are first used, so ``import mmhmc``
costs next to nothing beyond ``import mmengine``.
"""
from importlib import import_module
from importlib.util import find_spec

from .compat import let_mmengine_resolve_configs
from .former_names import former_attribute
from .version import __version__

_PUBLIC = {
    'mmhmc.adapters': ('DynamicAdaptation', ),
    'mmhmc.codecs':
    ('AVIF', 'Cheng2020Anchor', 'Cheng2020Attention', 'DCVCUFIntra', 'ELIC',
     'FactorizedPrior', 'HEVCIntra', 'IdentityCodec', 'ImageCodec', 'JPEG',
     'JPEGXL', 'JointAutoregressive', 'LayeredGenerative', 'MPA', 'MRIC',
     'MeanScaleHyperprior', 'ScaleHyperprior', 'TinyLIC', 'VVCIntra', 'WebP'),
    'mmhmc.engine':
    ('AlternatingOptimWrapperConstructor', 'AutocastHook',
     'CodecOptimWrapperConstructor', 'EntropyTableHook', 'FiniteLossHook',
     'KLTInitHook', 'LmbdaScheduleHook', 'Muon', 'RandomStateHook',
     'RateLossHook', 'TrainingStageHook'),
    'mmhmc.evaluation':
    ('AttributeAccuracy', 'BitrateMetric', 'DISTSMetric', 'FIDMetric',
     'KIDMetric', 'LPIPSMetric', 'MSSSIMMetric', 'NIQEMetric', 'PSNRMetric',
     'PointsMetric', 'SSIMMetric', 'SavingMetric'),
    'mmhmc.losses':
    ('BackboneLoss', 'FeatureLoss', 'HingeLoss', 'LPIPSLoss', 'MSSSIMLoss',
     'NonSaturatingLoss', 'PatchDiscriminator', 'TwoScaleDiscriminator'),
    'mmhmc.models':
    ('CodecBackbone', 'CodecModel', 'CompressedDomainNeck',
     'GenerativeCodecModel', 'LatentBackbone', 'LayeredCodecModel',
     'MultiTaskModel', 'ImageStem', 'PointsHead'),
    'mmhmc.structures': ('CodecOutput', 'CodingCondition'),
    'mmhmc.visualization': ('CodecVisualizationHook', ),
}
_MODULE_OF = {name: module for module in _PUBLIC for name in _PUBLIC[module]}

__all__ = ['__version__', *sorted(_MODULE_OF)]

# `mmhmc doctor` has to run where mmengine is missing.
if find_spec('mmengine') is not None:
    let_mmengine_resolve_configs()


def __getattr__(name: str):
    if name in _MODULE_OF:
        return getattr(import_module(_MODULE_OF[name]), name)
    return former_attribute(__name__)(name)


def __dir__():
    return __all__
