"""Options that were written for a host reach the host behind a codec."""
from copy import deepcopy
from pathlib import Path

import pytest
from mmengine.config import Config

from mmhmc.apis import mix_codec
from mmhmc.apis.options import set_options
from mmhmc.apis.training import load_config

ROOT = Path(__file__).parents[2] / 'configs'
CODEC_FILE = str(ROOT / '_base_/codecs/scale-hyperprior.py')
HOST = '''
default_scope = 'mmdet'
model = dict(
    type='Host',
    data_preprocessor=dict(
        type='DetDataPreprocessor', mean=[120., 110., 100.],
        std=[60., 50., 40.], bgr_to_rgb=True, pad_size_divisor=32),
    backbone=dict(
        type='ResNet', depth=18,
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet18')),
    bbox_head=dict(type='Head', num_classes=3))
train_dataloader = dict(
    batch_size=2,
    dataset=dict(type='CocoDataset', pipeline=[dict(type='LoadImage')]))
val_dataloader = train_dataloader
val_cfg = dict(type='ValLoop')
val_evaluator = dict(type='CocoMetric', metric='bbox')
test_evaluator = [dict(type='CocoMetric', metric='bbox'),
                  dict(type='DumpResults', out_file_path='a.pkl')]
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='SGD', lr=0.02),
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))))
param_scheduler = [dict(type='MultiStepLR', milestones=[8])]
custom_hooks = [dict(type='NumClassCheckHook'),
                dict(type='EMAHook', momentum=0.1)]
'''


@pytest.fixture
def files(tmp_path):
    (tmp_path / 'host.py').write_text(HOST)
    (tmp_path / 'leaf.py').write_text(
        f"_base_ = ['host.py', {CODEC_FILE!r}]\n"
        'mix_codec = dict(losses=dict(lmbda_rate=2.))\n')
    return tmp_path


OF_HOST = [
    {
        'model.backbone.frozen_stages': 2
    },
    {
        'model.backbone.type': 'ResNeXt',
        'model.backbone.groups': 32
    },
    {
        'model.backbone.init_cfg.checkpoint': 'other.pth'
    },
    {
        'model.backbone.init_cfg': None
    },
    {
        'model': dict(backbone=dict(depth=50), bbox_head=dict(num_classes=5))
    },
    {
        'model.backbone': dict(_delete_=True, type='MobileNetV2')
    },
    {
        'model.data_preprocessor.mean': [1., 2., 3.],
        'model.data_preprocessor.bgr_to_rgb': False
    },
    {
        'val_evaluator.ann_file': 'b.json'
    },
    {
        'val_evaluator.metric': ['bbox', 'segm']
    },
    {
        'test_evaluator.1.out_file_path': 'b.pkl'
    },
    {
        'test_evaluator': None
    },
    {
        'val_evaluator': None,
        'val_cfg': None,
        'val_dataloader': None
    },
    {
        'train_dataloader.dataset.pipeline.0.to_float32': True,
        'train_dataloader.batch_size': 1
    },
    {
        'param_scheduler.0.milestones': [1, 2]
    },
    {
        'custom_hooks.1.momentum': 0.2
    },
    {
        'custom_hooks': []
    },
    {
        'optim_wrapper.constructor': 'LearningRateDecay',
        'optim_wrapper.paramwise_cfg.norm_decay_mult': 0.
    },
    {
        'optim_wrapper.optimizer.lr': 1.
    },
    {
        'new.key': 1
    },
]


@pytest.mark.parametrize('options', OF_HOST, ids=lambda o: next(iter(o)))
def test_option_of_a_host_does_what_it_does_without_a_codec(files, options):
    bare = Config.fromfile(files / 'host.py')
    bare.merge_from_dict(deepcopy(options))
    given = deepcopy(options)
    expected = mix_codec(bare, CODEC_FILE).to_dict()
    found = load_config(
        files / 'host.py', options, work_dir='work', codec=CODEC_FILE)
    found = found.to_dict()
    assert found.pop('work_dir') == 'work'
    assert found == expected
    assert options == given


@pytest.mark.parametrize('option, value',
                         [('model.backbone.codec.hidden_channels', 4),
                          ('model.backbone.test_cfg.adapter', False),
                          ('model.backbone.condition.quality', 2),
                          ('model.backbone.backbone.frozen_stages', 2),
                          ('model.backbone.type', 'mmhmc.LatentBackbone'),
                          ('custom_hooks.0.lmbda_distortion', 0.1),
                          ('objective.lmbda_distortion', 0.1),
                          ('custom_hooks.5.momentum', 0.2),
                          ('val_evaluator.0.ann_file', 'b.json'),
                          ('val_evaluator.1.out_file', 'rates.json'),
                          ('test_evaluator.2.out_file', 'rates.json'),
                          ('optim_wrapper.paramwise_cfg.codec.lr', 1.)])
def test_option_of_a_mixed_config_is_set_where_it_says(files, option, value):
    cfg = load_config(files / 'host.py', {option: value}, codec=CODEC_FILE)
    part = cfg
    for name in option.split('.'):
        part = part[int(name) if name.isdigit() else name]
    assert part == value


def test_options_change_what_a_config_mixes_in(files):
    cfg = load_config(files / 'leaf.py', {
        'codec.hidden_channels': 4,
        'mix_codec.losses.lmbda_rate': 3.
    })
    assert cfg.model.backbone.codec.hidden_channels == 4
    assert cfg.objective.lmbda_rate == 3.


def test_config_with_a_codec_takes_options_of_its_host(files):
    dumped = files / 'dumped.py'
    load_config(files / 'host.py', codec=CODEC_FILE).dump(dumped)
    options = {
        'model.backbone.frozen_stages': 2,
        'model.backbone.type': 'ResNeXt',
        'model.backbone.codec.hidden_channels': 4,
        'val_evaluator.ann_file': 'b.json',
        'test_evaluator.out_file_path': 'b.pkl',
    }
    for cfg in (load_config(dumped, options),
                load_config(Config.fromfile(dumped), options)):
        backbone = cfg.model.backbone
        assert backbone.type == 'mmhmc.CodecBackbone'
        assert backbone.codec.hidden_channels == 4
        assert backbone.backbone.type == 'ResNeXt'
        assert backbone.backbone.frozen_stages == 2
        assert cfg.val_evaluator[0].ann_file == 'b.json'
        assert cfg.test_evaluator[1].out_file_path == 'b.pkl'


def test_config_without_a_codec_takes_options_as_ever():
    cfg = Config(dict(model=dict(backbone=dict(depth=1)), steps=[dict(a=1)]))
    set_options(cfg, {'model.backbone.depth': 2, 'steps.0.a': 3})
    assert cfg.model.backbone.depth == 2 and cfg.steps[0].a == 3
