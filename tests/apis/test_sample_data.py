import pytest
from mmengine.config import Config

from mmhmc.apis.sample_data import use_sample_data

PIPELINE = [dict(type='LoadImageFromFile'), dict(type='Pack')]


def host(scope, **dataset):
    loader = dict(
        batch_size=3,
        dataset=dict(
            type='HostDataset',
            data_root='data/host',
            pipeline=PIPELINE,
            **dataset))
    return Config(
        dict(
            default_scope=scope,
            train_dataloader=loader,
            val_dataloader=loader,
            val_evaluator=dict(type='HostMetric', metric='bbox')))


@pytest.mark.parametrize('scope, kind',
                         [('mmdet', 'mmdet.CocoDataset'),
                          ('mmseg', 'mmseg.BaseSegDataset'),
                          ('mmpretrain', 'mmpretrain.CustomDataset')])
def test_data_set_is_replaced_and_its_pipeline_stays(scope, kind):
    before = host(scope, split='train')
    cfg = use_sample_data(before)
    for split in ('train', 'val'):
        loader = cfg[f'{split}_dataloader']
        assert loader.batch_size == 3
        assert loader.dataset.type == kind
        assert loader.dataset.pipeline == PIPELINE
        assert 'split' not in loader.dataset
        assert f'{split}' in str(loader.dataset.data_prefix)
    assert 'test_dataloader' not in cfg
    assert before.train_dataloader.dataset.type == 'HostDataset'
    assert ('sample_labels_root' in cfg) == (scope != 'mmdet')


def test_what_wraps_a_data_set_stays():
    cfg = host('mmdet')
    inner = cfg.train_dataloader.dataset
    cfg.train_dataloader.dataset = dict(
        type='Mix',
        pipeline=[1],
        dataset=dict(type='Concat', datasets=[inner, inner]))
    mix = use_sample_data(cfg).train_dataloader.dataset
    assert mix.type == 'Mix' and mix.pipeline == [1]
    assert [d.type for d in mix.dataset.datasets] == ['mmdet.CocoDataset'] * 2


@pytest.mark.parametrize('metric, expected', [('segm', 'segm'),
                                              ('mAP', 'bbox')])
def test_detector_is_measured_on_the_new_data(metric, expected):
    cfg = host('mmdet')
    cfg.val_evaluator.metric = metric
    evaluator = use_sample_data(cfg).val_evaluator
    assert evaluator.type == 'mmdet.CocoMetric'
    assert evaluator.metric == expected
    assert evaluator.ann_file.endswith('instances_val.json')


def test_other_hosts_are_refused():
    with pytest.raises(ValueError, match="got `default_scope='mmpose'`"):
        use_sample_data(host('mmpose'))
