"""A mixed model goes on where its host alone goes on."""
import copy
import pickle
from types import SimpleNamespace

import pytest
import torch
from conftest import (MockTaskModel, batch_of, make_runner, tiny_codec,
                      with_val, wrapped_model)
from mmengine.evaluator import BaseMetric, DumpResults, Evaluator
from mmengine.hooks import Hook, LoggerHook
from mmengine.registry import METRICS

from mmhmc.engine import RateLossHook
from mmhmc.engine.hooks.host_results import HostResults
from mmhmc.evaluation import BitrateMetric, PSNRMetric
from mmhmc.structures import CodedImage


@METRICS.register_module()
class FoundAt(BaseMetric):
    """A host's metric that has no results where nothing is found."""

    default_prefix = 'host'

    def __init__(self, validations=()):
        super().__init__()
        self.validations, self.count = validations, 0

    def process(self, data_batch, data_samples):
        self.results.extend(data_samples)

    def compute_metrics(self, results):
        self.count += 1
        if self.count - 1 not in self.validations:
            return {}
        return dict(mAP=float(self.count))


def trained(tmp_path, save_best, metrics=(), epochs=2, **checkpoint):
    """A run that validates after every epoch, with what hooks saw."""
    seen = []

    class Look(Hook):
        priority = 'LOWEST'

        def after_val_epoch(self, runner, metrics=None):
            seen.append(dict(metrics))

    settings = with_val(['BitrateMetric', 'PSNRMetric'])
    settings['val_evaluator'] = [*metrics, *settings['val_evaluator']]
    settings['default_hooks'] = dict(
        checkpoint=dict(
            type='CheckpointHook',
            interval=9,
            save_best=save_best,
            **checkpoint))
    settings['train_cfg'] = dict(
        by_epoch=True, max_epochs=epochs, val_interval=1)
    runner = make_runner(
        wrapped_model(tiny_codec('FactorizedPrior')), tmp_path,
        [RateLossHook(), Look()], **settings)
    runner.model.backbone.codec.update_entropy_tables()
    runner.train()
    return runner, seen


@pytest.mark.parametrize('best', ['auto', 'host/mAP'])
def test_validation_that_finds_nothing_saves_nothing(tmp_path, best):
    metric = dict(type='FoundAt', validations=[1])
    trained(tmp_path, best, [metric], rule='greater')
    assert [path.name for path in tmp_path.glob('best_*')
            ] == ['best_host_mAP_epoch_2.pth']


def test_what_the_codec_measured_is_returned_and_logged(tmp_path, monkeypatch):
    logged = []
    monkeypatch.setattr(
        LoggerHook, 'after_val_epoch',
        lambda self, runner, metrics: logged.append(set(metrics)))
    runner, seen = trained(
        tmp_path, 'host/mAP', [dict(type='FoundAt')], rule='greater')
    assert seen == [{}, {}]
    assert {'rate/bpp', 'quality/psnr'} <= logged[0] == logged[1]
    assert not list(tmp_path.glob('best_*'))
    assert {'rate/bpp', 'quality/psnr'} <= set(runner.val())


@pytest.mark.parametrize('metrics', [[], [dict(type='FoundAt')]])
def test_best_image_quality_may_be_asked_for(tmp_path, metrics):
    _, seen = trained(
        tmp_path, 'quality/psnr', metrics, epochs=1, rule='greater')
    assert 'quality/psnr' in seen[0]
    assert list(tmp_path.glob('best_quality_psnr*'))


def test_images_are_let_go_when_metrics_have_seen_them(tmp_path):
    kept = []

    class Keeping(DumpResults):

        def process(self, data_batch, predictions):
            super().process(data_batch, predictions)
            kept.extend(predictions)

    settings = with_val(['PSNRMetric'])
    settings['val_evaluator'] = [
        *settings['val_evaluator'],
        Keeping(str(tmp_path / 'out.pkl'))
    ]
    runner = make_runner(
        wrapped_model(tiny_codec('FactorizedPrior')), tmp_path,
        [RateLossHook()], **settings)
    runner.model.backbone.codec.update_entropy_tables()
    assert 'quality/psnr' in runner.val()
    assert len(kept) == 2
    for sample in kept:
        assert sample['coding'].num_bytes > 0
        assert sample['coding'].x is None and sample['coding'].x_hat is None


@pytest.mark.parametrize(
    'made', [
        lambda s: s.new(), lambda s: s.clone(), lambda s: s.cpu(),
        lambda s: s.to('cpu'), lambda s: s.detach(), lambda s: s.to_tensor(),
        lambda s: copy.copy(s), copy.deepcopy
    ],
    ids=['new', 'clone', 'cpu', 'to', 'detach', 'to_tensor', 'copy', 'deep'])
def test_copies_of_a_sample_know_what_was_coded(made):
    model = wrapped_model(tiny_codec('FactorizedPrior')).eval()
    model.backbone.codec.update_entropy_tables()
    RateLossHook().attach(model)
    with torch.no_grad():
        sample, = model.test_step(batch_of((40, 50)))
    other = made(sample)
    assert other.coding.x is sample.coding.x
    assert other.coding.x_hat is sample.coding.x_hat
    assert other.to_dict()['coding'].num_bytes == sample.coding.num_bytes
    # What is written to a file is small.
    assert pickle.loads(pickle.dumps(other)).coding.x is None


def test_copies_do_not_change_each_other():
    image = CodedImage(
        8., 9, (4, 4), (4, 4), torch.rand(3, 4, 4), stream_bytes=dict(y=1))
    other = copy.deepcopy(image)
    other.stream_bytes['y'], other.x = 2, None
    assert image.stream_bytes == dict(y=1) and image.x is not None


def test_loops_without_an_evaluator_go_on():
    hook = HostResults()
    runner = SimpleNamespace(
        hooks=[SimpleNamespace(key_indicators=['auto'])],
        val_loop=SimpleNamespace())
    metrics = {'rate/bpp': 1.}
    hook.after_val_epoch(runner, metrics)
    hook.after_val(runner)
    assert metrics == {'rate/bpp': 1.}


@pytest.mark.parametrize('output', ['few', 'dict'])
def test_rates_that_cannot_be_told_are_left_out(tmp_path, monkeypatch, output):
    lines = []
    monkeypatch.setattr('mmhmc.engine.host_batches.print_log',
                        lambda line, **_: lines.append(line))

    class Other(MockTaskModel):

        def forward(self, inputs, data_samples=None, mode='tensor'):
            found = super().forward(inputs, data_samples, mode)
            if mode != 'predict':
                return found
            return found[:1] if output == 'few' else {'all': found}

    model = Other(wrapped_model(tiny_codec('FactorizedPrior')).backbone)
    model.backbone.codec.update_entropy_tables()
    RateLossHook().attach(model.eval())
    found = model.test_step(batch_of((40, 50), (40, 50)))
    assert len([line for line in lines if 'cannot be told' in line]) == 1
    if output == 'few':
        metrics = [BitrateMetric(), PSNRMetric()]
        Evaluator(metrics).process(found)
        assert Evaluator(metrics).evaluate(1) == {}
