"""The inventory of public names: taking one away is an edit of this file."""
from importlib import import_module

import pytest

import mmhmc
from mmhmc import registry

NAMES = {
    'mmhmc': [
        'AutocastHook', 'BitrateMetric', 'Cheng2020Anchor',
        'Cheng2020Attention', 'CodecBackbone', 'CodecModel',
        'CodecOptimWrapperConstructor', 'CodecOutput', 'CodingCondition',
        'CompressedDomainNeck', 'DynamicAdaptation', 'EntropyTableHook',
        'FactorizedPrior', 'FiniteLossHook', 'IdentityCodec', 'ImageCodec',
        'JointAutoregressive', 'LatentBackbone', 'LmbdaScheduleHook',
        'MSSSIMMetric', 'MeanScaleHyperprior', 'PSNRMetric', 'RandomStateHook',
        'RateLossHook', 'ScaleHyperprior', 'TrainingStageHook', '__version__'
    ],
    'mmhmc.adapters': ['DynamicAdaptation'],
    'mmhmc.apis': [
        'CodecSource', 'Outcome', 'Report', 'decode_bitstreams',
        'describe_bitstream', 'encode_pictures', 'format_description',
        'load_codec', 'mix_codec', 'read_config', 'write_portable_checkpoint'
    ],
    'mmhmc.bitstream': [
        'Bitstream', 'BitstreamError', 'CdfTables', 'CutStream',
        'QUALITY_STEP', 'SymbolDecoder', 'device_fingerprint',
        'encode_symbols', 'find_levels'
    ],
    'mmhmc.codecs': [
        'Cheng2020Anchor', 'Cheng2020Attention', 'FactorizedPrior',
        'IdentityCodec', 'ImageCodec', 'JointAutoregressive',
        'MeanScaleHyperprior', 'ScaleHyperprior', 'build_codec'
    ],
    'mmhmc.codecs.layers':
    ['Derived', 'FixedPointNetwork', 'activation_ranges', 'choose_settings'],
    'mmhmc.datasets': [
        'ImageFolder', 'PICTURE_SUFFIXES', 'PackImageInputs',
        'RandomCropOrPad', 'check_coco', 'digest_sample_instances',
        'make_sample_instances', 'missing_coco_files', 'read_note',
        'read_picture', 'read_size', 'write_picture', 'write_whole'
    ],
    'mmhmc.engine': [
        'AutocastHook', 'CodecOptimWrapperConstructor', 'EntropyTableHook',
        'FiniteLossHook', 'LmbdaScheduleHook', 'RandomStateHook',
        'RateLossHook', 'TrainingStageHook'
    ],
    'mmhmc.evaluation': ['BitrateMetric', 'MSSSIMMetric', 'PSNRMetric'],
    'mmhmc.functional': [
        'InputNorm', 'bound', 'count_bits', 'crop_to', 'extend_edges',
        'padded_size', 'picture_mse', 'run_in_tiles', 'valid_mask'
    ],
    'mmhmc.models': [
        'CodecBackbone', 'CodecModel', 'CompressedDomainNeck',
        'LatentBackbone', 'LatentFeatures', 'PictureCoding'
    ],
}

#: What configs may name, as `mmhmc.NAME`.
REGISTERED = dict(
    MODELS=[
        'Cheng2020Anchor', 'Cheng2020Attention', 'CodecBackbone', 'CodecModel',
        'CompressedDomainNeck', 'DynamicAdaptation', 'FactorizedPrior',
        'IdentityCodec', 'JointAutoregressive', 'LatentBackbone',
        'MeanScaleHyperprior', 'ScaleHyperprior'
    ],
    HOOKS=[
        'AutocastHook', 'EntropyTableHook', 'FiniteLossHook',
        'LmbdaScheduleHook', 'RandomStateHook', 'RateLossHook',
        'TrainingStageHook'
    ],
    OPTIM_WRAPPER_CONSTRUCTORS=['CodecOptimWrapperConstructor'],
    METRICS=['BitrateMetric', 'MSSSIMMetric', 'PSNRMetric'])


@pytest.mark.parametrize('module', NAMES)
def test_public_names_are_the_inventory(module):
    assert sorted(import_module(module).__all__) == NAMES[module]


@pytest.mark.parametrize('module', NAMES)
def test_every_public_name_is_there(module):
    for name in NAMES[module]:
        assert hasattr(import_module(module), name), name


@pytest.mark.parametrize('name', REGISTERED)
def test_registered_names_are_the_inventory(name):
    entries = getattr(registry, name)
    entries.import_from_location()
    assert sorted(entries.module_dict) == REGISTERED[name]


@pytest.mark.parametrize('name', REGISTERED)
def test_configs_name_them_by_the_scope(name):
    entries = getattr(registry, name)
    for entry in REGISTERED[name]:
        found = entries.parent.get(f'mmhmc.{entry}')
        assert found.__name__ == entry


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'mmhmc' has no attribute 'no'"):
        mmhmc.no
    assert dir(mmhmc) == sorted(mmhmc.__all__)
