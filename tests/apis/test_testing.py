"""Options of testing, in the words of each host."""
import pickle
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from conftest import CODECS
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from mmhmc.apis import mix_codec
from mmhmc.apis.testing import _augment, _dump, _show, run_test
from mmhmc.apis.training import TrainingError
from mmhmc.datasets import write_image
from mmhmc.structures import CodedImage


def config_of(host, hook, pack):
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='Resize', scale=(64, 64)),
        dict(type=pack)
    ]
    return Config(
        dict(
            default_scope=host,
            model=dict(type='Host'),
            default_hooks=dict(visualization=dict(type=hook)),
            visualizer=dict(type='Visualizer'),
            test_dataloader=dict(
                dataset=dict(type='Wrapper', dataset=dict(
                    pipeline=pipeline)))))


@pytest.mark.parametrize('hook, switch, folder', [
    ('DetVisualizationHook', 'draw',
     'default_hooks.visualization.test_out_dir'),
    ('SegVisualizationHook', 'draw', 'visualizer.save_dir'),
    ('mmpretrain.VisualizationHook', 'enable',
     'default_hooks.visualization.out_dir'),
])
def test_painting_is_asked_for_in_the_words_of_the_host(hook, switch, folder):
    cfg = config_of('host', hook, 'Pack')
    _show(cfg, True, 'painted', 3)
    settings = cfg.default_hooks.visualization
    assert settings[switch] and settings.show and settings.wait_time == 3
    value = cfg
    for name in folder.split('.'):
        value = value[name]
    assert value == 'painted'


@pytest.mark.parametrize('host, pack', [('mmdet', 'PackDetInputs'),
                                        ('mmpretrain', 'PackInputs')])
def test_hosts_without_augmentation_of_their_own_get_flips(host, pack):
    cfg = config_of(host, 'DetVisualizationHook', pack)
    _augment(cfg)
    assert cfg.model.module.type == 'Host' and 'TTA' in cfg.model.type
    *before, last = cfg.test_dataloader.dataset.dataset.pipeline
    assert [step.type for step in before] == ['LoadImageFromFile', 'Resize']
    flips, pack_step = last.transforms
    assert [flip.prob for flip in flips] == [1., 0.]
    assert pack_step[0].type == pack
    if host == 'mmdet':
        assert 'flip' in pack_step[0].meta_keys


def test_augmentation_that_nobody_knows_is_refused():
    cfg = config_of('mmseg', 'SegVisualizationHook', 'PackSegInputs')
    with pytest.raises(TrainingError, match='--tta needs'):
        _augment(cfg)


def test_dumped_predictions_hold_no_images_not_even_before(tmp_path):
    path = tmp_path / 'out.pkl'
    metric = _dump(str(path))
    coding = CodedImage(8., 9, (4, 4), (4, 4), torch.rand(3, 4, 4),
                        torch.rand(3, 4, 4))
    prediction = dict(coding=coding, score=1)
    metric.process(None, [prediction])
    kept, = metric.results
    assert kept['coding'].x is None and kept['coding'].x_hat is None
    # Other metrics still need them.
    assert prediction['coding'].x is not None
    metric.evaluate(1)
    loaded, = pickle.loads(path.read_bytes())
    assert loaded['coding'].num_bytes == 9 and loaded['score'] == 1


CLASSIFIER = """
default_scope = 'mmpretrain'
model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(
        type='ClsDataPreprocessor', mean=[120., 110., 100.],
        std=[60., 50., 40.], to_rgb=True, num_classes=2),
    backbone=dict(type='ResNet', depth=18, stem_channels=4, base_channels=4),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=2, in_channels=32))
test_dataloader = dict(
    batch_size=2, num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='CustomDataset', ann_file='ann.txt', data_prefix='.',
        metainfo=dict(classes=['one', 'two']),
        pipeline=[dict(type='LoadImageFromFile'), dict(type='PackInputs')]))
test_evaluator = dict(type='Accuracy', topk=(1, ))
test_cfg = dict()
"""


def test_augmented_classifier_says_what_was_coded(tmp_path, monkeypatch):
    pytest.importorskip('mmpretrain')
    monkeypatch.chdir(tmp_path)
    for name in 'ab':
        write_image(f'{name}.png', torch.rand(3, 40, 52))
    Path('ann.txt').write_text('a.png 0\nb.png 1\n')
    cfg = mix_codec(
        Config.fromstring(CLASSIFIER, '.py'),
        dict(type='mmhmc.FactorizedPrior', **CODECS['FactorizedPrior']))
    cfg.work_dir = 'work'
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(cfg.model)
    torch.save(dict(state_dict=model.state_dict(), meta={}), 'model.pth')
    plain, augmented = (
        run_test(deepcopy(cfg), 'model.pth', tta=tta) for tta in (False, True))
    assert set(augmented) == set(plain)
    assert augmented['rate/bpp'] > 0 and augmented['quality/psnr'] > 0
