"""A codec in any host's config."""
from copy import deepcopy
from pathlib import Path

import pytest
from mmengine.config import Config

from mmhmc.apis import mix_codec, read_config
from mmhmc.apis.training import load_config

ROOT = Path(__file__).parents[2] / 'configs'
CODEC = dict(
    type='mmhmc.ScaleHyperprior', hidden_channels=8, latent_channels=8)
ADAPTER = dict(type='mmhmc.DynamicAdaptation', width=4)
CODEC_FILE = str(ROOT / '_base_/codecs/scale-hyperprior.py')
ADAPTER_FILE = str(ROOT / '_base_/adapters/dynamic-adaptation.py')
RGB = dict(mean=[120., 110., 100.], std=[60., 50., 40.])

HOST = '''
default_scope = 'mmdet'
model = dict(
    type='Host',
    data_preprocessor=dict(
        type='DetDataPreprocessor', mean=[120., 110., 100.],
        std=[60., 50., 40.], bgr_to_rgb=True, pad_size_divisor=32),
    backbone=dict(type='ResNet', depth=18),
    bbox_head=dict(type='Head', num_classes=3))
train_dataloader = dict(
    batch_size=2,
    dataset=dict(type='CocoDataset', pipeline=[dict(type='LoadImage')]))
val_evaluator = dict(type='CocoMetric', metric='bbox')
test_evaluator = val_evaluator
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='SGD', lr=0.02),
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))))
param_scheduler = [dict(type='MultiStepLR', milestones=[8])]
custom_hooks = [dict(type='NumClassCheckHook')]
'''


@pytest.fixture
def host():
    return Config.fromstring(HOST, '.py')


def with_model(host, **changes):
    host.model.update(changes)
    return host


def norm_of(cfg):
    """The normalisation that a mixed config undoes."""
    wrapped = mix_codec(cfg, CODEC).model.backbone
    return dict(wrapped.input_norm)


# What changes, and what does not.


def test_backbone_is_wrapped_and_the_rest_of_the_model_stays(host):
    mixed = mix_codec(host, CODEC, ADAPTER)
    assert mixed.model.backbone.to_dict() == dict(
        type='mmhmc.CodecBackbone',
        codec=CODEC,
        adapter=ADAPTER,
        backbone=dict(type='ResNet', depth=18),
        input_norm=dict(RGB, channel_order='rgb'))
    mixed.model.backbone = host.model.backbone
    assert mixed.model == host.model


def test_given_config_and_parts_are_not_changed(host):
    before, codec = host.to_dict(), deepcopy(CODEC)
    mixed = mix_codec(host, codec)
    mixed.model.backbone.backbone.depth = 50
    mixed.model.backbone.codec.hidden_channels = 9
    mixed.val_evaluator[0].metric = 'segm'
    assert host.to_dict() == before
    assert codec == CODEC


def test_data_schedule_and_optimizer_stay(host):
    mixed = mix_codec(host, CODEC)
    for name in ('train_dataloader', 'param_scheduler', 'default_scope'):
        assert mixed[name] == host[name]
    assert mixed.optim_wrapper.optimizer == host.optim_wrapper.optimizer


def test_hooks_of_the_codec_come_first(host):
    mixed = mix_codec(host, CODEC, losses=dict(lmbda_distortion=0.01))
    assert mixed.custom_hooks[0] == dict(
        type='mmhmc.RateLossHook', settings='objective')
    assert mixed.objective == dict(lmbda_distortion=0.01)
    assert [h.type for h in mixed.custom_hooks[1:]] == [
        'mmhmc.EntropyTableHook', 'mmhmc.FiniteLossHook',
        'mmhmc.RandomStateHook', 'NumClassCheckHook'
    ]


METRICS = ['mmhmc.BitrateMetric', 'mmhmc.PSNRMetric', 'mmhmc.MSSSIMMetric']


@pytest.mark.parametrize('evaluator', [
    dict(type='CocoMetric'), [dict(type='CocoMetric')],
    dict(type='Evaluator', metrics=dict(type='CocoMetric'))
])
def test_metrics_stand_behind_those_of_the_host(host, evaluator):
    host.test_evaluator = evaluator
    mixed = mix_codec(host, CODEC).test_evaluator
    if isinstance(mixed, dict):
        assert mixed['type'] == 'Evaluator'
        mixed = mixed['metrics']
    assert [m['type'] for m in mixed] == ['CocoMetric', *METRICS]


def test_nothing_is_measured_where_the_host_does_not(host):
    host.val_evaluator = None
    host.pop('test_evaluator')
    mixed = mix_codec(host, CODEC)
    assert mixed.val_evaluator is None
    assert 'test_evaluator' not in mixed


def test_evaluator_of_several_data_sets_is_left_alone(host):
    host.val_evaluator = dict(
        type='MultiDatasetsEvaluator',
        metrics=[dict(type='CocoMetric')],
        dataset_prefixes=['one'])
    assert mix_codec(host, CODEC).val_evaluator == host.val_evaluator


def test_settings_of_the_hosts_optimizer_are_handed_on(host):
    host.optim_wrapper.constructor = 'LayerDecayOptimizerConstructor'
    wrapper = mix_codec(host, CODEC, ADAPTER).optim_wrapper
    assert wrapper.constructor == 'mmhmc.CodecOptimWrapperConstructor'
    assert wrapper.paramwise_cfg.to_dict() == dict(
        custom_keys=dict(backbone=dict(lr_mult=0.1)),
        constructor='LayerDecayOptimizerConstructor',
        codec=dict(lr=1e-4),
        adapter=dict(lr=1e-4))


def test_mixed_config_is_dumped_and_read_again(host, tmp_path):
    mixed = mix_codec(host, CODEC, ADAPTER)
    mixed.dump(tmp_path / 'mixed.py')
    assert Config.fromfile(tmp_path / 'mixed.py').to_dict() == mixed.to_dict()


@pytest.mark.parametrize('own', [
    None,
    dict(imports='json'),
    dict(imports=['json', 'string'], allow_failed_imports=False)
])
def test_imports_of_a_codec_file_are_kept(host, own, tmp_path):
    file = tmp_path / 'codec.py'
    file.write_text("custom_imports = dict(imports=['string'])\n"
                    "codec = dict(type='mmhmc.IdentityCodec')\n")
    if own:
        host.custom_imports = own
    mixed = mix_codec(host, file).custom_imports
    assert mixed['imports'] == (['json', 'string'] if own else ['string'])
    assert mixed.get('allow_failed_imports') == (
        own or {}).get('allow_failed_imports')


def test_pure_python_config_is_mixed_too(tmp_path):
    (tmp_path / 'lazy.py').write_text('''
from mmengine.model import ImgDataPreprocessor
from torch.nn import Conv2d, Sequential

model = dict(
    type=Sequential,
    data_preprocessor=dict(type=ImgDataPreprocessor, mean=[9.], std=[3.]),
    backbone=dict(type=Conv2d, in_channels=3, out_channels=2, kernel_size=1))
''')
    mixed = mix_codec(read_config(tmp_path / 'lazy.py'), CODEC)
    mixed.dump(tmp_path / 'mixed.py')
    backbone = Config.fromfile(tmp_path / 'mixed.py').model.backbone
    assert backbone.type == 'mmhmc.CodecBackbone'
    assert backbone.backbone.type == 'torch.nn.Conv2d'
    assert backbone.input_norm.mean == [9.] * 3


# Where hosts keep things.


@pytest.mark.parametrize('path', [
    'backbone', 'image_encoder', 'vision_backbone', 'detector.backbone',
    'image_encoder.backbone'
])
def test_backbone_is_found_where_the_host_has_it(host, path):
    backbone = host.model.pop('backbone')
    part = host.model
    *parents, name = path.split('.')
    for parent in parents:
        part[parent] = dict(type='Part')
        part = part[parent]
    part[name] = backbone
    found = mix_codec(host, CODEC).model
    for name in path.split('.'):
        found = found[name]
    assert found.type == 'mmhmc.CodecBackbone'
    assert found.backbone == backbone


def test_backbone_is_found_in_a_list(host):
    neck = dict(type='GlobalAveragePooling')
    host.model.image_encoder = [host.model.pop('backbone'), neck]
    mixed = mix_codec(host, CODEC).model.image_encoder
    assert mixed[0].type == 'mmhmc.CodecBackbone'
    assert mixed[1] == neck


def test_teacher_of_a_distilled_model_stays_bare(host):
    host.model.teacher = dict(type='T', backbone=dict(type='ResNet'))
    mixed = mix_codec(host, CODEC).model
    assert mixed.backbone.type == 'mmhmc.CodecBackbone'
    assert mixed.teacher == host.model.teacher


def test_caffe_style_is_bgr(host):
    host.model.data_preprocessor.update(bgr_to_rgb=False, mean=[103., 1, 2])
    assert norm_of(host) == dict(RGB, mean=[103., 1., 2.], channel_order='bgr')


def test_host_that_does_not_normalise_sees_bgr_bytes(host):
    host.model.data_preprocessor = dict(
        type='DetDataPreprocessor', pad_size_divisor=32)
    assert norm_of(host) == dict(
        mean=[0.] * 3, std=[1.] * 3, channel_order='bgr')


def test_preprocessor_at_the_top_level_is_read(host):
    host.model.pop('data_preprocessor')
    host.data_preprocessor = dict(RGB, num_classes=3, to_rgb=True)
    assert norm_of(host) == dict(RGB, channel_order='rgb')


def test_preprocessor_of_several_branches_is_read(host):
    inner = host.model.data_preprocessor
    host.model.data_preprocessor = dict(
        type='MultiBranchDataPreprocessor', data_preprocessor=inner)
    assert norm_of(host) == dict(RGB, channel_order='rgb')


def test_classifier_without_a_preprocessor_has_the_hosts_default(host):
    host.model.pop('data_preprocessor')
    host.default_scope = 'mmpretrain'
    assert norm_of(host) == dict(
        mean=[0.] * 3, std=[1.] * 3, channel_order='bgr')


def test_normalisation_in_the_pipeline_is_read(host):
    host.model.data_preprocessor = dict(type='ImgDataPreprocessor')
    host.train_dataloader.dataset = dict(
        type='RepeatDataset',
        dataset=dict(type='A', pipeline=[dict(RGB, type='Normalize')]))
    assert norm_of(host) == dict(RGB, channel_order='rgb')


def test_data_set_that_is_rgb_already_needs_no_turning(host):
    host.model.data_preprocessor.bgr_to_rgb = False
    host.train_dataloader.dataset.type = 'CIFAR10'
    assert norm_of(host)['channel_order'] == 'rgb'


def test_one_value_for_grey_images_is_that_of_every_channel(host):
    host.model.data_preprocessor.update(mean=[33.], std=[78.])
    assert norm_of(host)['mean'] == [33.] * 3


# Bad input.


def test_config_without_a_backbone_is_refused(host):
    host.model.pop('backbone')
    with pytest.raises(ValueError, match=r"no backbone .*has \['type', 'data"):
        mix_codec(host, CODEC)
    host.pop('model')
    host.data_preprocessor = RGB
    with pytest.raises(ValueError, match='no backbone'):
        mix_codec(host, CODEC)


def test_wrapped_backbone_is_refused(host):
    mixed = mix_codec(host, CODEC)
    with pytest.raises(ValueError, match='already: mmhmc.CodecBackbone'):
        mix_codec(mixed, CODEC)


def test_codec_alone_is_refused():
    cfg = read_config(ROOT /
                      'mean_scale_hyperprior/mean-scale-hyperprior_sample.py')
    with pytest.raises(ValueError, match='already: mmhmc'):
        mix_codec(cfg, CODEC)


def test_file_without_a_codec_is_refused(host):
    with pytest.raises(ValueError, match='adaptation.py defines no codec: ex'):
        mix_codec(host, ADAPTER_FILE)
    with pytest.raises(ValueError, match='`codec` defines no codec: ex'):
        mix_codec(host, dict(hidden_channels=8))
    with pytest.raises(FileNotFoundError, match="no config 'nowhere.py'"):
        mix_codec(host, 'nowhere.py')


@pytest.mark.parametrize('preprocessor, message', [
    (None, 'no data preprocessor with `mean` and `std`'),
    (dict(type='BaseDataPreprocessor'), 'no data preprocessor with `mean`'),
    (dict(type='A', mean=[1., 2., 3.]), 'both `mean` and `std`.*std=None'),
    (dict(type='A', mean=[1.] * 6, std=[1.] * 6), 'one or three values'),
])
def test_preprocessor_that_says_no_normalisation_is_refused(
        host, preprocessor, message):
    host.model.data_preprocessor = preprocessor
    with pytest.raises(ValueError, match=message):
        mix_codec(host, CODEC)


def test_unknown_weight_is_refused(host):
    with pytest.raises(ValueError, match=r"unknown keys \['lmbda'\]; it may"):
        mix_codec(host, CODEC, losses=dict(lmbda=1))


def test_dictionary_is_no_config(host):
    with pytest.raises(TypeError, match='`cfg` must be a Config.* got dict'):
        mix_codec(host.to_dict(), CODEC)


def test_host_that_is_not_installed_is_named():
    with pytest.raises(ModuleNotFoundError, match='needs mmnowhere, which is'):
        read_config('mmnowhere::a/b.py')


def test_config_that_is_not_there_has_its_neighbours_named():
    pytest.importorskip('mmdet')
    with pytest.raises(FileNotFoundError, match='near it.*r18_fpn_1x_coco.py'):
        read_config('mmdet::retinanet/retinanet_r18_fpn_1x_cocoo.py')
    with pytest.raises(FileNotFoundError, match="no config 'no/no.py'; look"):
        read_config('mmdet::no/no.py')


# The command line, and three lines.


@pytest.fixture
def files(tmp_path, host):
    (tmp_path / 'host.py').write_text(HOST)
    (tmp_path / 'leaf.py').write_text(
        f"_base_ = ['host.py', {CODEC_FILE!r}, {ADAPTER_FILE!r}]\n"
        'mix_codec = dict(losses=dict(lmbda_rate=2.))\n')
    return tmp_path


def test_three_lines_the_command_line_and_the_function_agree(files, host):
    leaf = load_config(files / 'leaf.py')
    given = load_config(
        files / 'host.py', codec=CODEC_FILE, adapter=ADAPTER_FILE)
    called = mix_codec(host, CODEC_FILE, ADAPTER_FILE)
    assert leaf.objective.pop('lmbda_rate') == 2.
    for name in called:
        assert leaf[name] == given[name] == called[name], name
    assert 'mix_codec' not in leaf
    assert given.work_dir == 'work_dirs/host_scale-hyperprior'


def test_bare_config_stays_bare(files, host):
    cfg = load_config(files / 'host.py')
    assert cfg.work_dir == 'work_dirs/host'
    assert cfg.model == host.model


def test_options_change_the_mixed_config(files):
    cfg = load_config(
        files / 'host.py', {'model.backbone.codec.hidden_channels': 4},
        lmbda=0.5,
        codec=CODEC_FILE)
    assert cfg.model.backbone.codec.hidden_channels == 4
    assert cfg.objective.lmbda_distortion == 0.5
    assert cfg.work_dir == 'work_dirs/host_scale-hyperprior/lmbda_0.5'


def test_what_cannot_be_mixed_is_an_error(files):
    with pytest.raises(ValueError, match='already: mmhmc.CodecBackbone'):
        load_config(
            ROOT / 'hmc/mask-rcnn_dynadapt_sample.py', codec=CODEC_FILE)
    with pytest.raises(ValueError, match='no codec to mix in: give --cod'):
        load_config(files / 'host.py', adapter=ADAPTER_FILE)
    with pytest.raises(ModuleNotFoundError, match='mmnowhere, which is not'):
        load_config('mmnowhere::a.py', codec=CODEC_FILE)
    (files /
     'typo.py').write_text("_base_ = 'leaf.py'\nmix_codec = dict(codecs=1)\n")
    with pytest.raises(ValueError, match=r"unknown keys \['codecs'\]"):
        load_config(files / 'typo.py')


# Real hosts.


@pytest.mark.parametrize('path, holder', [
    ('mmdet::retinanet/retinanet_r18_fpn_1x_coco.py', 'backbone'),
    ('mmdet::soft_teacher/'
     'soft-teacher_faster-rcnn_r50-caffe_fpn_180k_semi-0.1-coco.py',
     'detector'),
    ('mmseg::pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py',
     'backbone'),
    ('mmseg::san/san-vit-b16_coco-stuff164k-640x640.py', 'image_encoder'),
    ('mmpretrain::resnet/resnet18_8xb32_in1k.py', 'backbone'),
    ('mmpretrain::mae/mae_vit-base-p16_8xb512-amp-coslr-300e_in1k.py',
     'backbone'),
])
def test_configs_of_the_hosts_are_mixed(path, holder, tmp_path):
    pytest.importorskip(path.split('::')[0])
    mixed = mix_codec(read_config(path), CODEC_FILE)
    part = mixed.model[holder]
    part = part.get('backbone', part) if holder == 'detector' else part
    assert part.type == 'mmhmc.CodecBackbone'
    mixed.dump(tmp_path / 'mixed.py')
    again = Config.fromfile(tmp_path / 'mixed.py')
    assert again.to_dict() == mixed.to_dict()
