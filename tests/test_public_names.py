"""The inventory of public names: taking one away is an edit of this file."""
import runpy
from importlib import import_module
from pathlib import Path

import pytest

import mmhmc
from mmhmc import registry

ROOT = Path(__file__).parents[1]

NAMES = {
    'mmhmc': [
        'AVIF', 'AlternatingOptimWrapperConstructor', 'AttributeAccuracy',
        'AutocastHook', 'BackboneLoss', 'BitrateMetric', 'Cheng2020Anchor',
        'Cheng2020Attention', 'CodecBackbone', 'CodecModel',
        'CodecOptimWrapperConstructor', 'CodecOutput',
        'CodecVisualizationHook', 'CodingCondition', 'CompressedDomainNeck',
        'DCVCUFIntra', 'DISTSMetric', 'DynamicAdaptation', 'ELIC',
        'EfficientNetLite0', 'EfficientNetLoss', 'EntropyTableHook',
        'FIDMetric', 'FactorizedPrior', 'FeatureLoss', 'FiniteLossHook',
        'GenerativeCodecModel', 'HEVCIntra', 'HingeLoss', 'IdentityCodec',
        'ImageCodec', 'ImageStem', 'JPEG', 'JPEGXL', 'JointAutoregressive',
        'JointAutoregressiveVBR', 'KIDMetric', 'KLTInitHook', 'LPIPSLoss',
        'LPIPSMetric', 'LatentBackbone', 'LayerDrawHook', 'LayeredCodecModel',
        'LayeredGenerative', 'LmbdaScheduleHook', 'MPA', 'MRIC', 'MSSSIMLoss',
        'MSSSIMMetric', 'MachineSynthesis', 'MeanScaleHyperprior',
        'MeanScaleHyperpriorVBR', 'MultiTaskModel', 'Muon', 'NIQEMetric',
        'NonSaturatingLoss', 'PSNRMetric', 'PatchDiscriminator', 'PointsHead',
        'PointsMetric', 'RandomStateHook', 'RateLossHook', 'SSIMMetric',
        'SavingMetric', 'ScaleHyperprior', 'ScaleHyperpriorVBR', 'TinyLIC',
        'TrainingStageHook', 'TwoScaleDiscriminator', 'VVCIntra', 'WebP',
        'YCbCrError', '__version__'
    ],
    'mmhmc.adapters': ['DynamicAdaptation', 'MachineSynthesis'],
    'mmhmc.apis': [
        'CodecSource', 'EncodedImage', 'HMCInferencer', 'HostReader',
        'Outcome', 'RateTarget', 'Report', 'ZooModel', 'choose_layers',
        'code_to_target', 'decode_bitstreams', 'describe_bitstream',
        'download_model', 'encode_images', 'fetch_weights', 'find_model',
        'format_description', 'list_models', 'load_codec', 'load_config',
        'mix_codec', 'read_config', 'read_importance'
    ],
    'mmhmc.apis.benchmark': [
        'IMAGE_METRICS', 'Outcome', 'PROTOCOLS', 'Plan', 'read_plan',
        'report_results', 'run_benchmark'
    ],
    'mmhmc.bitstream': [
        'Bitstream', 'BitstreamError', 'CdfTables', 'CutStream', 'LayerTables',
        'QUALITY_STEP', 'ShiftedTables', 'SymbolDecoder',
        'deterministic_kernels', 'device_fingerprint', 'encode_symbols',
        'find_levels', 'former_fingerprint', 'layers_of'
    ],
    'mmhmc.codecs': [
        'AVIF', 'Cheng2020Anchor', 'Cheng2020Attention', 'DCVCUFIntra', 'ELIC',
        'FactorizedPrior', 'HEVCIntra', 'IdentityCodec', 'ImageCodec', 'JPEG',
        'JPEGXL', 'JointAutoregressive', 'JointAutoregressiveVBR',
        'LayeredGenerative', 'MPA', 'MRIC', 'MeanScaleHyperprior',
        'MeanScaleHyperpriorVBR', 'ScaleHyperprior', 'ScaleHyperpriorVBR',
        'TinyLIC', 'VVCIntra', 'WebP', 'build_codec'
    ],
    'mmhmc.codecs.standard': [
        'AVIF', 'HEVCIntra', 'JPEG', 'JPEGXL', 'StandardCodec', 'VVCIntra',
        'WebP'
    ],
    'mmhmc.codecs.layers': [
        'AttentionStage', 'DepthConvBlock', 'DivisiveNorm',
        'FactorisedDensity', 'FixedPointNetwork', 'MultiPathStage',
        'NeighbourhoodAttention', 'PathChoice', 'TensorCache', 'Transform',
        'TransformerBlock', 'best_step', 'exact_gains', 'init_as_klt',
        'interpolate_gains', 'saturation'
    ],
    'mmhmc.datasets': [
        'ACCESSORIES', 'CelebAMaskHQ', 'FACE_PARTS', 'FACE_POINTS',
        'IMAGE_SUFFIXES', 'ImageFolder', 'PackImageInputs', 'RandomCropOrPad',
        'UseDecodedImage', 'celeba_split', 'check_coco',
        'digest_sample_instances', 'encode_png', 'face_points',
        'find_accessories', 'has_note', 'list_files', 'make_sample_instances',
        'merge_parts', 'missing_coco_files', 'path_below', 'read_image',
        'read_note', 'read_size', 'write_image', 'write_png'
    ],
    'mmhmc.engine': [
        'AlternatingOptimWrapper', 'AlternatingOptimWrapperConstructor',
        'AutocastHook', 'CodecOptimWrapperConstructor', 'EntropyTableHook',
        'FiniteLossHook', 'KLTInitHook', 'LayerDrawHook', 'LmbdaScheduleHook',
        'Muon', 'RandomStateHook', 'RateLossHook', 'TrainingStageHook'
    ],
    'mmhmc.evaluation': [
        'AttributeAccuracy', 'BitrateMetric', 'BjontegaardDelta',
        'BootstrapInterval', 'CocoScore', 'Comparison', 'DISTSMetric',
        'FIDMetric', 'ImageCurve', 'ImageScore', 'KIDMetric', 'LPIPSMetric',
        'MSSSIMMetric', 'MeanIoUScore', 'MeanScore', 'NIQEMetric',
        'PSNRMetric', 'PointsMetric', 'RDPoint', 'RateCurve', 'Results',
        'SSIMMetric', 'SavingMetric', 'all_columns', 'bd_quality', 'bd_rate',
        'bootstrap_bd', 'compare_codecs', 'compare_curves',
        'compare_published', 'count_kmac', 'count_parameters', 'curves_of',
        'frechet_distance', 'kernel_distance', 'list_published',
        'lower_is_better', 'published_curve', 'published_uncompressed',
        'read_results', 'time_coding'
    ],
    'mmhmc.functional': [
        'bound', 'count_bits', 'crop_to', 'extend_edges', 'image_mse',
        'padded_size', 'rgb_to_yuv', 'run_in_tiles', 'to_8_bits', 'to_pixels',
        'valid_mask', 'yuv_to_rgb'
    ],
    'mmhmc.losses': [
        'BackboneLoss', 'EfficientNetLoss', 'FeatureLoss', 'HingeLoss',
        'LPIPSLoss', 'MSSSIMLoss', 'NonSaturatingLoss', 'PatchDiscriminator',
        'PerceptualLoss', 'TwoScaleDiscriminator', 'YCbCrError',
        'feature_matching_loss', 'random_pad_crop_resize'
    ],
    'mmhmc.models': [
        'CodecBackbone', 'CodecModel', 'CompressedDomainNeck',
        'EfficientNetLite0', 'GenerativeCodecModel', 'ImageCoding',
        'ImageStem', 'LatentBackbone', 'LatentFeatures', 'LayeredCodecModel',
        'MultiTaskModel', 'PointsHead'
    ],
    'mmhmc.refinement': [
        'FeatureReader', 'LatentRefinement', 'RefinedImage',
        'RefinementObjective', 'SketchMap', 'boxes_to_map', 'build_refinement',
        'exchange_rate'
    ],
    'mmhmc.visualization': [
        'CodecVisualizationHook', 'DemoFigure', 'DemoImage', 'ERROR_GAIN',
        'FoundObject', 'Instances', 'PanelRow', 'Table', 'TaskColumn',
        'WorstImage', 'axis_label', 'benchmark_table', 'bits_map',
        'complexity_table', 'delta_table', 'doubt_table', 'draw_bits',
        'draw_coding', 'draw_curves', 'draw_error', 'draw_image_grid',
        'draw_panel', 'draw_task_images', 'draw_training', 'failure_table',
        'layer_figures', 'point_table', 'read_scalars', 'refinement_figures',
        'tint_side_path', 'worst_images', 'write_demo_page', 'write_report'
    ],
    'mmhmc.zoo': [
        'CompressAIWeights', 'ZooModel', 'config_path', 'fetch_compressai',
        'fetch_weights', 'find_compressai', 'find_configs', 'find_model',
        'is_compressai', 'is_zoo_name', 'list_compressai', 'list_models'
    ],
}

#: What configs may name, as `mmhmc.NAME`.
REGISTERED = dict(
    MODELS=[
        'AVIF', 'BackboneLoss', 'Cheng2020Anchor', 'Cheng2020Attention',
        'CodecBackbone', 'CodecModel', 'CompressedDomainNeck', 'DCVCUFIntra',
        'DynamicAdaptation', 'ELIC', 'EfficientNetLite0', 'EfficientNetLoss',
        'FactorizedPrior', 'FeatureLoss', 'FeatureReader',
        'GenerativeCodecModel', 'HEVCIntra', 'HingeLoss', 'HostReader',
        'IdentityCodec', 'ImageStem', 'JPEG', 'JPEGXL', 'JointAutoregressive',
        'JointAutoregressiveVBR', 'LPIPSLoss', 'LatentBackbone',
        'LatentRefinement', 'LayeredCodecModel', 'LayeredGenerative', 'MPA',
        'MRIC', 'MSSSIMLoss', 'MachineSynthesis', 'MeanScaleHyperprior',
        'MeanScaleHyperpriorVBR', 'MultiTaskModel', 'NonSaturatingLoss',
        'PatchDiscriminator', 'PointsHead', 'ScaleHyperprior',
        'ScaleHyperpriorVBR', 'SketchMap', 'TinyLIC', 'TwoScaleDiscriminator',
        'VVCIntra', 'WebP', 'YCbCrError'
    ],
    HOOKS=[
        'AutocastHook', 'CodecVisualizationHook', 'EntropyTableHook',
        'FiniteLossHook', 'KLTInitHook', 'LayerDrawHook', 'LmbdaScheduleHook',
        'RandomStateHook', 'RateLossHook', 'TrainingStageHook'
    ],
    OPTIM_WRAPPER_CONSTRUCTORS=[
        'AlternatingOptimWrapperConstructor', 'CodecOptimWrapperConstructor'
    ],
    OPTIMIZERS=['Muon'],
    METRICS=[
        'AttributeAccuracy', 'BitrateMetric', 'DISTSMetric', 'FIDMetric',
        'KIDMetric', 'LPIPSMetric', 'MSSSIMMetric', 'NIQEMetric', 'PSNRMetric',
        'PointsMetric', 'SSIMMetric', 'SavingMetric'
    ])


def test_public_names_are_the_inventory(subtests):
    for module, names in NAMES.items():
        with subtests.test(module):
            assert sorted(import_module(module).__all__) == names


def test_every_public_name_is_there():
    missing = [
        f'{module}.{name}' for module, names in NAMES.items() for name in names
        if not hasattr(import_module(module), name)
    ]
    assert missing == []


def test_registered_names_are_the_inventory(subtests):
    for name, expected in REGISTERED.items():
        with subtests.test(name):
            entries = getattr(registry, name)
            entries.import_from_location()
            # A user's codec registers here, too; other tests have one.
            own = [
                key for key, value in entries.module_dict.items()
                if value.__module__.partition('.')[0] == 'mmhmc'
            ]
            assert sorted(own) == expected


def test_configs_name_them_by_the_scope(subtests):
    for name, entry in [(n, e) for n in REGISTERED for e in REGISTERED[n]]:
        with subtests.test(name, entry=entry):
            found = getattr(registry, name).parent.get(f'mmhmc.{entry}')
            assert found.__name__ == entry


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'mmhmc' has no attribute 'no'"):
        mmhmc.no
    assert dir(mmhmc) == sorted(mmhmc.__all__)


def test_the_page_of_names_has_the_docstrings_of_today():
    script = runpy.run_path(str(ROOT / 'dev/public_names.py'))
    page = (ROOT / 'docs/api/index.md').read_text()
    assert script['name_tables']() in page, 'run `python dev/public_names.py`'
