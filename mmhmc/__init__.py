"""Learned image codecs in front of OpenMMLab models.

The public names below are loaded when they are first used, so ``import mmhmc``
costs next to nothing beyond ``import mmengine``.
"""
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec

from .version import __version__

_PUBLIC = {
    'mmhmc.adapters': ('DynamicAdaptation', ),
    'mmhmc.codecs':
    ('AVIF', 'Cheng2020Anchor', 'Cheng2020Attention', 'ELIC',
     'FactorizedPrior', 'HEVCIntra', 'IdentityCodec', 'ImageCodec', 'JPEG',
     'JPEGXL', 'JointAutoregressive', 'LayeredGenerative', 'MPA', 'MRIC',
     'MeanScaleHyperprior', 'ScaleHyperprior', 'TinyLIC', 'VVCIntra', 'WebP'),
    'mmhmc.engine': ('AlternatingOptimWrapperConstructor', 'AutocastHook',
                     'CodecOptimWrapperConstructor', 'EntropyTableHook',
                     'FiniteLossHook', 'LmbdaScheduleHook', 'RandomStateHook',
                     'RateLossHook', 'TrainingStageHook'),
    'mmhmc.evaluation':
    ('AttributeAccuracy', 'BitrateMetric', 'DISTSMetric', 'FIDMetric',
     'KIDMetric', 'LPIPSMetric', 'MSSSIMMetric', 'NIQEMetric', 'PSNRMetric',
     'PointsMetric', 'SSIMMetric', 'SavingMetric'),
    'mmhmc.losses':
    ('FeatureLoss', 'HingeLoss', 'LPIPSLoss', 'NonSaturatingLoss',
     'PatchDiscriminator', 'TwoScaleDiscriminator'),
    'mmhmc.models':
    ('CodecBackbone', 'CodecModel', 'CompressedDomainNeck',
     'GenerativeCodecModel', 'LatentBackbone', 'LayeredCodecModel',
     'MultiTaskModel', 'PictureStem', 'PointsHead'),
    'mmhmc.structures': ('CodecOutput', 'CodingCondition'),
}
_MODULE_OF = {name: module for module in _PUBLIC for name in _PUBLIC[module]}

__all__ = ['__version__', *sorted(_MODULE_OF)]


def _let_mmengine_resolve_configs() -> None:
    """Make ``mmhmc::`` and ``mmseg::`` usable as config bases.

    mmengine only resolves packages named in a fixed table, and that table
    knows mmseg by the name of one distribution. Where another distribution
    supplies the module, the module's own name works.
    """
    from mmengine.config.utils import MODULE2PACKAGE
    MODULE2PACKAGE.setdefault('mmhmc', 'mmhmc')
    try:
        distribution(MODULE2PACKAGE['mmseg'])
    except PackageNotFoundError:
        MODULE2PACKAGE['mmseg'] = 'mmseg'


# `mmhmc doctor` has to run where mmengine is missing.
if find_spec('mmengine') is not None:
    _let_mmengine_resolve_configs()


def __getattr__(name: str):
    if name in _MODULE_OF:
        return getattr(import_module(_MODULE_OF[name]), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__():
    return __all__
