"""What a host makes of images that were coded before its pipeline."""
import json
import multiprocessing
import os
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.registry import METRICS, MODELS, DefaultScope

from mmhmc.apis.benchmark import read_plan, run_benchmark
from mmhmc.apis.benchmark.tasks import (HostTester, ImageScores, TaskRun,
                                        _check_metrics)
from mmhmc.evaluation import read_results

HOST = '''
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
    batch_size=2, num_workers=1, persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='CustomDataset', ann_file={ann_file!r}, data_prefix={root!r},
        metainfo=dict(classes=['one', 'two']),
        pipeline=[dict(type='LoadImageFromFile'), dict(type='PackInputs')]))
test_evaluator = dict(type='Accuracy', topk=(1, ))
test_cfg = dict()
'''


@pytest.fixture
def with_task(bench_cfg, bench_home, tmp_path):
    """The benchmark with a classifier of three images of one size."""
    pytest.importorskip('mmpretrain')
    from mmhmc.datasets import write_image
    root = tmp_path / 'images'
    root.mkdir()
    names = ('a.png', 'b.png', 'c.png')
    for name in names:
        write_image(root / name, torch.rand(3, 32, 48))
    (tmp_path / 'ann.txt').write_text('a.png 0\nb.png 1\nc.png 0\n')
    host = tmp_path / 'host.py'
    host.write_text(
        HOST.replace('{ann_file!r}', repr(str(tmp_path / 'ann.txt'))).replace(
            '{root!r}', repr(str(root))))
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(Config.fromfile(host).model)
    torch.save(
        dict(state_dict=model.state_dict(), meta={}), tmp_path / 'host.pth')
    bench_cfg.datasets.few.root = str(root)
    bench_cfg.tasks = dict(
        top1=dict(
            config=str(host),
            checkpoint=str(tmp_path / 'host.pth'),
            dataset='few',
            metrics=['accuracy/top1']))
    return bench_cfg


def records_of(plan, kind='task'):
    lines = (plan.work_dir / 'results.jsonl').read_text().splitlines()
    return [r for r in map(json.loads, lines) if r['kind'] == kind]


def test_host_is_tested_on_every_point_and_uncompressed(
        with_task, monkeypatch):
    plan = read_plan(with_task)
    seen = []
    test = HostTester._test
    monkeypatch.setattr(
        HostTester, '_test',
        lambda self, run: seen.append(run.label) or test(self, run))
    outcome = run_benchmark(plan)
    assert outcome.failures == []
    assert seen == ['uncompressed/top1', 'plain/one/top1', 'plain/two/top1']
    records = {(r['codec'], r['point']): r for r in records_of(plan)}
    assert set(records) == {(None, None), ('plain', 'one'), ('plain', 'two')}
    for record in records.values():
        assert 0 <= record['metrics']['accuracy/top1'] <= 100
        assert record['num_images'] == 3
        assert record['lower_is_better'] == []
        scores = json.loads(
            (plan.work_dir / record['predictions']).read_text())
        assert scores['images'] == ['a.png', 'b.png', 'c.png']
        right = scores['Accuracy']
        assert len(right) == 3
        assert 100 * sum(right) / 3 == pytest.approx(
            record['metrics']['accuracy/top1'], abs=1e-3)
    run_benchmark(plan, resume=True)
    assert len(seen) == 3


def test_pipeline_is_the_hosts_with_the_decoded_image_before_it(
        with_task, monkeypatch):
    from mmhmc.apis.benchmark import tasks
    plan = read_plan(with_task)
    built = []

    def note(cfg):
        built.append(cfg)
        raise ValueError('enough')

    monkeypatch.setattr(tasks, 'build_runner', note)
    run_benchmark(plan)
    bare, coded, _ = (c.test_dataloader.dataset.pipeline for c in built)
    assert coded[1:] == bare
    assert coded[0].type == 'mmhmc.UseDecodedImage'
    assert coded[0].decoded == str(plan.work_dir / 'decoded/plain/one/few')


def test_codec_in_the_model_is_the_one_of_the_point(with_task):
    before = read_plan(with_task)
    run_benchmark(before)
    coded = [r for r in records_of(before, 'coded') if r['point'] == 'one']
    expected = sum(8 * r['bytes'] / (r['width'] * r['height'])
                   for r in coded) / len(coded)
    with_task.protocol = 'in the model'
    with_task.work_dir += '_model'
    plan = read_plan(with_task)
    outcome = run_benchmark(plan)
    assert outcome.failures == []
    assert records_of(plan, 'coded') == []
    records = {r['point']: r for r in records_of(plan)}
    # This host's pipeline leaves images as they are.
    assert records['one']['bpp'] == pytest.approx(expected)
    assert records['one']['bpp'] == records['one']['metrics']['rate/bpp']
    assert 'bpp' not in records[None]
    # Image by image too, for intervals.
    curve = read_results(outcome.path).image_curve('plain', 'few',
                                                   'accuracy/top1')
    point, = (p for p in curve.points if p.label == 'one')
    rates = {
        r['image']: 8 * r['bytes'] / (r['width'] * r['height'])
        for r in coded
    }
    assert dict(zip(curve.images, point.bpp)) == pytest.approx(rates)


def test_psnr_of_a_codec_in_the_model_is_a_column(with_task):
    keys = []
    with_task.protocol = 'in the model'
    for metrics in (['accuracy/top1'], ['accuracy/top1', 'quality/psnr']):
        with_task.tasks.top1.metrics = metrics
        plan = read_plan(with_task)
        outcome = run_benchmark(plan, resume=True)
        assert outcome.failures == []
        keys.append({r['point']: r['key'] for r in records_of(plan)})
    # What is measured is the same, so nothing is measured again.
    assert keys[0] == keys[1]
    curve = read_results(outcome.path).image_curve('plain', 'few',
                                                   'quality/psnr')
    records = {r['point']: r['metrics'] for r in records_of(plan)}
    for point in curve.points:
        assert point.scorer.score(range(len(curve.images))) == pytest.approx(
            records[point.label]['quality/psnr'])


def test_condition_of_a_point_reaches_the_codec_in_the_model(with_task):
    with_task.protocol = 'in the model'
    with_task.anchor = None
    with_task.codecs = dict(
        JPEG=dict(
            codec=dict(type='mmhmc.JPEG'),
            points=dict(low=dict(quality=5), high=dict(quality=90))))
    plan = read_plan(with_task)
    assert run_benchmark(plan).failures == []
    records = {r['point']: r for r in records_of(plan)}
    assert records['low']['bpp'] < records['high']['bpp'] / 2


def test_host_that_fails_stands_in_the_results(with_task):
    with_task.tasks.top1.metrics = ['coco/bbox_mAP']
    plan = read_plan(with_task)
    outcome = run_benchmark(plan)
    assert len(outcome.failures) == 3
    for failure in outcome.failures:
        assert failure['stage'] == 'task' and failure['task'] == 'top1'
        assert "gives no metrics ['coco/bbox_mAP']" in failure['error']
    assert len(records_of(plan, 'coded')) == 6


def test_missing_weights_of_a_host_are_said_once(with_task):
    with_task.tasks.top1.checkpoint = 'none.pth'
    outcome = run_benchmark(read_plan(with_task))
    failure, = outcome.failures
    assert 'none.pth' in failure['error'] and failure['task'] == 'top1'


def test_points_with_images_that_were_not_coded_are_not_tested(with_task):
    with_task.codecs.plain.points.two.checkpoint = 'none.pth'
    plan = read_plan(with_task)
    run_benchmark(plan)
    assert {r['point'] for r in records_of(plan)} == {None, 'one'}


def test_images_of_the_host_have_to_be_those_that_were_coded(with_task):
    with_task.datasets.few.num_images = 2
    plan = read_plan(with_task)
    failures = run_benchmark(plan).failures
    # The uncompressed line, too, would be of other images.
    assert len(failures) == 3
    for failure in failures:
        assert "host's config tests 3 images, the data set 'few' has 2" in \
            failure['error']


def mark_as_turned(path):
    from PIL import Image
    exif = Image.Exif()
    exif[274] = 6
    with Image.open(path) as image:
        image.save(path, exif=exif)


def test_image_is_coded_as_the_host_sees_it(with_task, monkeypatch):
    from mmhmc.datasets import read_size
    root = Path(with_task.datasets.few.root)
    mark_as_turned(root / 'a.png')
    plan = read_plan(with_task)
    sizes = []
    test = HostTester._test
    monkeypatch.setattr(HostTester, '_test', seeing_sizes(test, sizes))
    assert run_benchmark(plan).failures == []
    assert [size for sizes in zip(*sizes) for size in sizes] == \
        [(48, 32)] * 3 + [(32, 48)] * 6
    decoded = plan.work_dir / 'decoded/plain/one/few'
    assert read_size(decoded / 'a.png.png') == (48, 32)


def seeing_sizes(test, seen):
    """A test of a host that notes the sizes of what its pipeline reads."""

    def tested(self, run):
        from mmhmc.apis.benchmark import tasks
        sizes = []
        seen.append(sizes)

        class Sizes(Hook):

            def after_test_iter(self, runner, *args, outputs=None, **kwargs):
                sizes.extend(one.ori_shape for one in outputs)

        build = tasks.build_runner

        def built(cfg):
            runner = build(cfg)
            runner.register_hook(Sizes())
            return runner

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tasks, 'build_runner', built)
            return test(self, run)

    return tested


def test_host_that_may_turn_a_image_otherwise_is_told(with_task):
    mark_as_turned(Path(with_task.datasets.few.root) / 'b.png')
    with_task.tasks.top1.cfg_options = {
        'test_dataloader.dataset.pipeline.0.color_type': 'unchanged'
    }
    failures = run_benchmark(read_plan(with_task)).failures
    assert len(failures) == 2
    for failure in failures:
        assert "b.png is marked as turned, and the host reads images with " \
            "{'color_type': 'unchanged'}" in failure['error']


@METRICS.register_module()
class EmptyCocoMetric(BaseMetric):
    """As mmdet's, of a detector that finds nothing: it has no results."""

    default_prefix = 'coco'

    def __init__(self, ann_file, outfile_prefix=None):
        super().__init__()
        self.ann_file, self.outfile_prefix = ann_file, outfile_prefix

    def process(self, data_batch, data_samples):
        self.results.extend(data_samples)

    def compute_metrics(self, results):
        Path(f'{self.outfile_prefix}.bbox.json').write_text('[]')
        return {}


def test_point_where_nothing_is_found_is_kept(with_task, tmp_path):
    pytest.importorskip('pycocotools')
    images = [
        dict(id=i, file_name=f'{name}.png', height=32, width=48)
        for i, name in enumerate('abc')
    ]
    truth = tmp_path / 'truth.json'
    truth.write_text(
        json.dumps(
            dict(
                images=images,
                categories=[dict(id=1, name='thing')],
                annotations=[
                    dict(
                        id=1,
                        image_id=0,
                        category_id=1,
                        bbox=[1, 1, 9, 9],
                        area=81,
                        iscrowd=0)
                ])))
    task = with_task.tasks.top1
    task.cfg_options = dict(
        test_evaluator=dict(
            _delete_=True, type='EmptyCocoMetric', ann_file=str(truth)))
    task.metrics = ['coco/bbox_mAP', 'coco/bbox_mAP_50']
    plan = read_plan(with_task)
    failures = run_benchmark(plan).failures
    assert not failures, failures[0]['error']
    records = records_of(plan)
    assert len(records) == 3
    for record in records:
        assert record['note'] == 'The host found nothing in any image.'
        assert record['metrics'] == {
            'coco/bbox_mAP': 0.,
            'coco/bbox_mAP_50': 0.
        }


def test_metric_of_nothing_is_a_failure():
    task, wanted = SimpleNamespace(config='host.py'), ('coco/bbox_mAP', )
    for value in (-1., float('nan')):
        with pytest.raises(ValueError, match='where annotations hold no obj'):
            _check_metrics(task, wanted, {'coco/bbox_mAP': value})
    _check_metrics(task, wanted, {'coco/bbox_mAP': 0.})
    # A kernel distance may be below 0.
    wanted = ('quality/kid_2000', )
    _check_metrics(task, wanted, {'quality/kid_2000': -0.0004})


def test_host_spends_operations_on_uncompressed_images(with_task):
    plan = read_plan(with_task)
    run_benchmark(plan)
    for record in records_of(plan):
        assert ('kmac' in record) == (record['codec'] is None)
        assert record.get('kmac', 1) > 0.1


def rank_process(rank, port, cfg):
    os.environ.update(
        RANK=str(rank),
        WORLD_SIZE='2',
        LOCAL_RANK=str(rank),
        MASTER_ADDR='127.0.0.1',
        MASTER_PORT=str(port))
    torch.set_num_threads(1)
    run_benchmark(read_plan(cfg))


def test_every_test_of_two_ranks_sees_all_images(with_task):
    alone = read_plan(with_task)
    run_benchmark(alone)
    with_task.work_dir += '_ranks'
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context('spawn')
    processes = [
        context.Process(target=rank_process, args=(rank, port, with_task))
        for rank in (0, 1)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(240)
        assert process.exitcode == 0
    plan = read_plan(with_task)
    metrics = [{
        (r['codec'], r['point']): r['metrics']
        for r in records_of(one)
    } for one in (alone, plan)]
    assert metrics[0] == metrics[1] and len(metrics[0]) == 3
    assert run_benchmark(plan, resume=True).made == 0


def test_scores_of_images_are_taken_as_a_metric_gets_them(tmp_path):
    IoUMetric = type('IoUMetric', (), dict(results=[]))
    metric = IoUMetric()
    runner = SimpleNamespace(
        test_evaluator=SimpleNamespace(metrics=[metric, object()]))
    scores = ImageScores()
    areas = [torch.tensor([1., 2.]) * k for k in range(1, 5)]
    for count in (1, 2):
        metric.results.extend([tuple(areas)] * count)
        scores.after_test_iter(runner, 0)
    rows = scores.collected(tmp_path)
    assert rows['IoUMetric'] == [[[1, 2], [2, 4], [3, 6], [4, 8]]] * 3


def test_label_is_a_folder_of_its_own():
    task = SimpleNamespace(name='box')
    point = SimpleNamespace(name='qp37')
    assert TaskRun(task, None, None, 'k').label == 'uncompressed/box'
    assert TaskRun(task, 'HEVC', point, 'k').label == 'HEVC/qp37/box'


@pytest.mark.parametrize('protocol', ['before the pipeline', 'in the model'])
def test_host_sees_images_of_weights_that_compressai_publishes(
        with_task, compressai_zoo, protocol):
    compressai_zoo.publish('mbt2018-mean', 'mse', 1)
    with_task.protocol, with_task.anchor = protocol, 'theirs'
    with_task.codecs = dict(
        theirs=dict(
            codec='compressai://mbt2018-mean/mse/1', points=dict(one=dict())))
    plan = read_plan(with_task)
    assert run_benchmark(plan).failures == []
    assert {r['codec'] for r in records_of(plan)} == {None, 'theirs'}
