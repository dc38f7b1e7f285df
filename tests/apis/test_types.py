"""A type may be a name, a path or a class: configs mean the same."""

import pytest
from mmengine.config import Config

from mmhmc.apis.comparison import _variants
from mmhmc.apis.mixing import host_of
from mmhmc.apis.testing import _augment, _show
from mmhmc.apis.training import _use_amp, load_config, prepare_data
from mmhmc.engine import AutocastHook, RateLossHook
from mmhmc.evaluation import BitrateMetric
from mmhmc.models import CodecBackbone
from mmhmc.registry import is_pretrained, type_name, type_scope


def path_of(kind):
    return f'{kind.__module__}.{kind.__name__}'


def spellings(kind, scope='mmhmc'):
    """All that a config may have as the type of a class."""
    return [kind, path_of(kind), f'{scope}.{kind.__name__}']


@pytest.mark.parametrize('kind', spellings(RateLossHook))
def test_type_has_a_name_and_a_scope(kind):
    assert type_name(dict(type=kind)) == 'RateLossHook'
    assert type_scope(dict(type=kind)) == 'mmhmc'


def test_name_without_a_scope_has_none():
    assert type_name(dict(type='ResNet')) == 'ResNet'
    assert type_scope(dict(type='ResNet')) == type_scope({}) == ''
    assert type_name({}) == type_name(dict(type=None)) == ''


@pytest.mark.parametrize('hook', spellings(RateLossHook))
def test_rate_reaches_the_hook(tmp_path, hook):
    path = tmp_path / 'lazy.py'
    if isinstance(hook, str):
        path.write_text(f'custom_hooks = [dict(type={hook!r})]')
    else:
        path.write_text('from mmhmc.engine import RateLossHook\n'
                        'custom_hooks = [dict(type=RateLossHook)]')
    cfg = load_config(path, lmbda=0.5)
    assert cfg.custom_hooks[0].lmbda_distortion == 0.5


@pytest.mark.parametrize('hook', spellings(AutocastHook))
def test_mixed_precision_is_not_set_up_twice(hook):
    cfg = Config(dict(custom_hooks=[dict(type=hook)]))
    _use_amp(cfg, cuda=False)
    assert len(cfg.custom_hooks) == 1


class CocoDataset:
    """As lazy configs name mmdet's."""


CocoDataset.__module__ = 'mmdet.datasets.coco'


@pytest.mark.parametrize('kind',
                         [*spellings(CocoDataset, 'mmdet'), 'CocoDataset'])
def test_missing_data_are_found_before_the_run(tmp_path, kind):
    dataset = dict(
        type=kind,
        data_root=str(tmp_path / 'away'),
        ann_file='a.json',
        data_prefix=dict(img='images/'))
    with pytest.raises(FileNotFoundError, match='away'):
        prepare_data(Config(dict(train_dataloader=dict(dataset=dataset))))


def host_class(name, module):
    return type(name, (), dict(__module__=module))


@pytest.mark.parametrize('kind', [
    host_class('DetVisualizationHook', 'mmdet.engine.hooks'),
    'mmdet.engine.hooks.DetVisualizationHook', 'DetVisualizationHook'
])
def test_painting_finds_the_hook(kind):
    cfg = Config(dict(default_hooks=dict(visualization=dict(type=kind))))
    _show(cfg, False, 'painted', 2)
    assert cfg.default_hooks.visualization.test_out_dir == 'painted'


@pytest.mark.parametrize('pack', [
    host_class('PackDetInputs', 'mmdet.datasets.transforms.formatting'),
    'mmdet.PackDetInputs'
])
def test_augmentation_finds_host_and_pack(pack):
    detector = host_class('RetinaNet', 'mmdet.models.detectors')
    cfg = Config(
        dict(
            default_scope=None,
            model=dict(type=detector),
            test_dataloader=dict(dataset=dict(pipeline=[dict(type=pack)]))))
    _augment(cfg)
    last = cfg.test_dataloader.dataset.pipeline[-1].transforms[-1][0]
    assert 'flip' in last.meta_keys
    assert cfg.model.type == 'mmdet.DetTTAModel'
    assert host_of(cfg) == 'mmdet'


@pytest.mark.parametrize('metric', spellings(BitrateMetric))
@pytest.mark.parametrize('listed', [True, False])
def test_comparison_finds_the_metric_of_the_rate(tmp_path, metric, listed):
    backbone = dict(type=CodecBackbone, codec=dict(type='mmhmc.IdentityCodec'))
    metrics = [dict(type=metric)]
    cfg = Config(
        dict(
            model=dict(backbone=backbone),
            test_evaluator=metrics if listed else dict(metrics=metrics)))
    for variant in _variants(cfg, tmp_path).values():
        evaluator = variant.test_evaluator
        evaluator = evaluator if listed else evaluator.metrics
        assert evaluator[0].out_file.startswith(str(tmp_path / 'rate_'))


def test_initialisation_by_a_checkpoint_is_known_by_its_class():
    from mmengine.model import PretrainedInit
    for kind in ('Pretrained', PretrainedInit, path_of(PretrainedInit)):
        assert is_pretrained(dict(type=kind))
    assert not is_pretrained(dict(type='Xavier'))
    assert not is_pretrained({})
