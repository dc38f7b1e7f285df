"""A benchmark as a whole: cached, resumed, shared out, failing in parts."""
import json
import os

import pytest
import torch

from mmhmc.apis.benchmark import read_plan
from mmhmc.apis.benchmark import run as run_module
from mmhmc.apis.benchmark import run_benchmark
from mmhmc.apis.benchmark.images import ImageCoder
from mmhmc.datasets import write_image


def records_of(plan, kind=None):
    lines = (plan.work_dir / 'results.jsonl').read_text().splitlines()
    records = [json.loads(line) for line in lines]
    return [r for r in records if kind in (None, r['kind'])]


@pytest.fixture
def calls(monkeypatch):
    """What was coded, in order."""
    seen = []
    code = ImageCoder.__call__

    def note(self, task):
        seen.append((task.point.name, task.image))
        return code(self, task)

    monkeypatch.setattr(ImageCoder, '__call__', note)
    return seen


def test_all_images_are_coded_once(bench_cfg, calls):
    plan = read_plan(bench_cfg)
    outcome = run_benchmark(plan)
    assert (outcome.made, outcome.kept, outcome.failures) == (9, 0, [])
    run, *rest = records_of(plan)
    coded = [r for r in rest if r['kind'] == 'coded']
    assert run['kind'] == 'run' and run['format'] == 1
    assert run['versions']['torch'] and run['settings'] == plan.settings
    assert len(coded) == len(calls) == 6
    outcome = run_benchmark(plan, resume=True)
    assert (outcome.made, outcome.kept) == (0, 9) and len(calls) == 6
    assert records_of(plan) == [run, *rest]


def test_results_are_not_replaced_unasked(bench_cfg):
    plan = read_plan(bench_cfg)
    run_benchmark(plan)
    with pytest.raises(FileExistsError, match='Go on with --resume'):
        run_benchmark(plan)


def test_only_what_changed_is_made_again(bench_cfg, bench_home, calls,
                                         tmp_path):
    run_benchmark(read_plan(bench_cfg))
    state = torch.load(bench_home / 'weights.pth')
    state['state_dict']['backbone.codec.g_s.0.bias'] += 1
    torch.save(state, tmp_path / 'other.pth')
    bench_cfg.codecs.plain.points.two.checkpoint = str(tmp_path / 'other.pth')
    calls.clear()
    plan = read_plan(bench_cfg)
    outcome = run_benchmark(plan, resume=True)
    assert {point for point, _ in calls} == {'two'} and len(calls) == 3
    # The run's and the point's settings are new, too.
    assert outcome.made == 5
    assert len(records_of(plan, 'coded')) == 6


def test_image_that_changed_is_coded_again(bench_cfg, calls, tmp_path):
    images = tmp_path / 'images'
    images.mkdir()
    for name in ('a.png', 'b.png'):
        write_image(images / name, torch.rand(3, 40, 40))
    bench_cfg.datasets.few.root = str(images)
    plan = read_plan(bench_cfg)
    run_benchmark(plan)
    write_image(images / 'b.png', torch.rand(3, 40, 48))
    calls.clear()
    run_benchmark(plan, resume=True)
    assert sorted(calls) == [('one', 'b.png'), ('two', 'b.png')]
    assert {r['width'] for r in records_of(plan, 'coded')} == {40, 48}
    # A copy of a data set has other times.
    os.utime(images / 'a.png', (1, 1))
    calls.clear()
    run_benchmark(plan, resume=True)
    assert not calls


def test_decoded_image_that_changed_is_made_again(bench_cfg, calls):
    plan = read_plan(bench_cfg)
    run_benchmark(plan)
    records = records_of(plan, 'coded')
    path = plan.work_dir / records[0]['decoded']
    content = path.read_bytes()
    path.write_bytes((plan.work_dir / records[1]['decoded']).read_bytes())
    calls.clear()
    run_benchmark(plan, resume=True)
    assert len(calls) == 1 and path.read_bytes() == content


def test_another_metric_of_images_is_measured(bench_cfg):
    bench_cfg.image_metrics = []
    run_benchmark(read_plan(bench_cfg))
    bench_cfg.image_metrics = ['psnr']
    plan = read_plan(bench_cfg)
    run_benchmark(plan, resume=True)
    assert all('psnr' in r for r in records_of(plan, 'coded'))


def test_result_of_old_settings_does_not_stand_in_for_a_failure(
        bench_cfg, tmp_path):
    images = tmp_path / 'images'
    images.mkdir()
    for name in ('a.png', 'b.png'):
        write_image(images / name, torch.rand(3, 40, 40))
    bench_cfg.datasets.few.root = str(images)
    plan = read_plan(bench_cfg)
    run_benchmark(plan)
    (images / 'b.png').write_bytes(b'no image')
    outcome = run_benchmark(plan, resume=True)
    assert {f['image'] for f in outcome.failures} == {'b.png'}
    assert {r['image'] for r in records_of(plan, 'coded')} == {'a.png'}


def test_results_stay_while_their_point_cannot_be_checked(
        bench_cfg, bench_home, calls, tmp_path):
    weights = tmp_path / 'weights.pth'
    weights.write_bytes((bench_home / 'weights.pth').read_bytes())
    for point in bench_cfg.codecs.plain.points.values():
        point.checkpoint = str(weights)
    plan = read_plan(bench_cfg)
    run_benchmark(plan)
    coded = records_of(plan, 'coded')
    weights.rename(tmp_path / 'away.pth')
    outcome = run_benchmark(plan, resume=True)
    assert len(outcome.failures) == 2 and len(calls) == 6
    assert records_of(plan, 'coded') == coded
    (tmp_path / 'away.pth').rename(weights)
    assert run_benchmark(plan, resume=True).failures == []
    assert len(calls) == 6


def test_settings_and_versions_of_each_point_are_kept(bench_cfg):
    bench_cfg.codecs.jpeg = dict(
        codec=dict(type='mmhmc.JPEG'), points=dict(low=dict(quality=20)))
    plan = read_plan(bench_cfg)
    run_benchmark(plan)
    points = {(r['codec'], r['point']): r for r in records_of(plan, 'point')}
    assert set(points) == {('plain', 'one'), ('plain', 'two'), ('jpeg', 'low')}
    assert points['jpeg', 'low']['settings']['coder']['subsampling']
    assert points['jpeg', 'low']['settings']['condition']['quality'] == 20
    assert len(points['plain', 'one']['settings']['sha256']) == 64
    assert points['plain', 'one']['versions']['torch']


def test_decoded_image_that_is_gone_is_made_again(bench_cfg, calls):
    plan = read_plan(bench_cfg)
    run_benchmark(plan)
    record = records_of(plan, 'coded')[0]
    (plan.work_dir / record['decoded']).unlink()
    calls.clear()
    run_benchmark(plan, resume=True)
    assert calls == [(record['point'], record['image'])]


def test_what_is_no_longer_asked_for_is_dropped(bench_cfg):
    run_benchmark(read_plan(bench_cfg))
    del bench_cfg.codecs.plain.points['two']
    plan = read_plan(bench_cfg)
    run_benchmark(plan, resume=True)
    assert {r['point'] for r in records_of(plan, 'coded')} == {'one'}


def test_interrupted_run_goes_on_where_it_stopped(bench_cfg, calls,
                                                  monkeypatch):
    code = ImageCoder.__call__

    def stop_at_the_third(self, task):
        if len(calls) == 2:
            raise KeyboardInterrupt
        return code(self, task)

    plan = read_plan(bench_cfg)
    with monkeypatch.context() as patch:
        patch.setattr(ImageCoder, '__call__', stop_at_the_third)
        with pytest.raises(KeyboardInterrupt):
            run_benchmark(plan)
    with (plan.work_dir / 'results.jsonl').open('a') as file:
        file.write('{"kind": "coded", "half')
    outcome = run_benchmark(plan, resume=True)
    assert len(calls) == 6 and len(set(calls)) == 6
    assert (outcome.made, outcome.kept) == (4, 5)


def test_failures_stand_in_the_results_and_the_rest_goes_on(
        bench_cfg, bench_home, tmp_path):
    images = tmp_path / 'images'
    images.mkdir()
    write_image(images / 'good.png', torch.rand(3, 40, 40))
    (images / 'bad.png').write_bytes(b'')
    bench_cfg.datasets.few.root = str(images)
    bench_cfg.codecs.plain.points.two.checkpoint = 'none.pth'
    plan = read_plan(bench_cfg)
    outcome = run_benchmark(plan)
    failures = records_of(plan, 'failure')
    assert sorted(f['error']
                  for f in failures) == sorted(f['error']
                                               for f in outcome.failures)
    assert {(f['point'], f.get('image'))
            for f in failures} == {('one', 'bad.png'), ('two', None)}
    assert len(records_of(plan, 'coded')) == 1
    # What failed is tried again.
    write_image(images / 'bad.png', torch.rand(3, 40, 40))
    outcome = run_benchmark(plan, resume=True)
    assert len(records_of(plan, 'coded')) == 2
    assert [f['point'] for f in outcome.failures] == ['two']


def test_results_of_another_version_are_refused(bench_cfg, monkeypatch):
    plan = read_plan(bench_cfg)
    run_benchmark(plan)
    monkeypatch.setattr(run_module, 'FORMAT', 2)
    with pytest.raises(ValueError, match='are of format 1, expected 2'):
        run_benchmark(plan, resume=True)


def test_cost_is_measured_once(bench_cfg):
    bench_cfg.complexity = (64, 64)
    plan = read_plan(bench_cfg)
    run_benchmark(plan)
    one, two = records_of(plan, 'complexity')
    assert one['parameters'] == two['parameters'] > 0
    assert one['kmac']['encoder'] > 0 and one['encode_ms'] > 0
    assert run_benchmark(plan, resume=True).made == 0


def test_jobs_have_to_be_positive(bench_cfg):
    with pytest.raises(ValueError, match='`jobs` must be 1 or more, got 0'):
        run_benchmark(read_plan(bench_cfg), jobs=0)


def test_metric_that_cannot_be_had_loses_nothing_else(bench_cfg, monkeypatch):
    from mmhmc.apis.benchmark import images

    def refuse(x, x_hat):
        raise RuntimeError('the weights of LPIPS are missing')

    bench_cfg.image_metrics = ['psnr', 'lpips']
    plan = read_plan(bench_cfg)
    with monkeypatch.context() as patch:
        patch.setitem(images._METRICS, 'lpips', refuse)
        outcome = run_benchmark(plan)
    assert {(f['point'], f['stage'])
            for f in outcome.failures} == {('one', 'lpips'), ('two', 'lpips')}
    coded = records_of(plan, 'coded')
    assert len(coded) == 6
    assert all('psnr' in r and 'lpips' not in r for r in coded)
    monkeypatch.setitem(images._METRICS, 'lpips', lambda x, x_hat: 0.25)
    assert run_benchmark(plan, resume=True).failures == []
    assert {r['lpips'] for r in records_of(plan, 'coded')} == {0.25}


def test_points_are_refined_and_made_anew_by_another_search(bench_cfg, calls):
    search = dict(steps=2, lmbda=1e-4, lr=0.3)
    bench_cfg.codecs.plain.points.two.refinement = search
    plan = read_plan(bench_cfg)
    run_benchmark(plan)
    found = {
        point: [r for r in records_of(plan, 'coded') if r['point'] == point]
        for point in ('one', 'two')
    }
    assert not any('refined' in record for record in found['one'])
    for plain, record in zip(found['one'], found['two']):
        assert record['refined']['steps'] == 2
        assert record['refined']['num_bytes_before'] == plain['bytes']
    point = next(r for r in records_of(plan, 'point') if r['point'] == 'two')
    assert point['settings']['refinement']['steps'] == 2
    calls.clear()
    bench_cfg.codecs.plain.points.two.refinement = dict(search, steps=3)
    run_benchmark(read_plan(bench_cfg), resume=True)
    assert [name for name, _ in calls] == ['two'] * 3


def test_searches_that_make_no_sense_are_refused_at_once(bench_cfg):
    bench_cfg.codecs.plain.refinement = dict(steps=0)
    with pytest.raises(ValueError, match='`steps` must be a positive'):
        read_plan(bench_cfg)
    bench_cfg.codecs.plain.refinement = 30
    with pytest.raises(ValueError, match='`refinement` must be a dict'):
        read_plan(bench_cfg)
