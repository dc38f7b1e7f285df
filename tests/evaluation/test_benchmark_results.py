import json

import numpy as np
import pytest
from benchmark_lines import NAMES, RUN, coded, lines, task, write_lines

from mmhmc.evaluation import bd_rate, read_results


@pytest.fixture
def results(tmp_path):
    return read_results(write_lines(tmp_path / 'results.jsonl', lines()))


def test_names_come_in_the_order_of_the_file(results):
    assert results.codecs == ['HEVC', 'VVC', 'JPEG']
    assert results.datasets == ['kodak']
    assert results.metrics('kodak') == [
        'psnr', 'ms_ssim', 'ms_ssim_db', 'coco/bbox_mAP'
    ]
    assert results.run['settings']['protocol'] == 'before the pipeline'
    assert results.complexity[0]['parameters'] == 1200


def test_rate_of_a_point_is_the_mean_of_bits_per_pixel(results):
    curve = results.curve('HEVC', 'kodak', 'psnr')
    bits = [8 * 40 * factor / 4800 for factor in (1, 1.25, 1.5)]
    assert curve.bpp[0] == pytest.approx(np.mean(bits))
    assert curve.quality[0] == pytest.approx(27)
    assert curve.labels == ('q0', 'q1', 'q2', 'q3')
    assert curve.metric == 'psnr'


def test_task_is_drawn_over_the_rate_of_its_images(results):
    box = results.curve('VVC', 'kodak', 'coco/bbox_mAP')
    assert box.quality.tolist() == pytest.approx([0.2, 0.22, 0.24, 0.26])
    assert (box.bpp == results.curve('VVC', 'kodak', 'psnr').bpp).all()
    assert results.uncompressed('kodak', 'coco/bbox_mAP') == 0.3
    assert results.uncompressed('kodak', 'psnr') is None


def test_similarity_in_decibel_is_of_the_mean(results):
    curve = results.curve('HEVC', 'kodak', 'ms_ssim_db')
    assert curve.quality[0] == pytest.approx(10)


def test_codec_that_needs_three_quarters_saves_a_quarter(results):
    pytest.importorskip('bjontegaard')
    anchor, test = (results.curve(c, 'kodak', 'psnr') for c in ('HEVC', 'VVC'))
    assert bd_rate(anchor, test).value == pytest.approx(-25, abs=0.1)


def test_point_without_all_its_images_is_left_out(tmp_path):
    rows = lines()
    rows.remove(coded('VVC', 1, 'b.png'))
    results = read_results(write_lines(tmp_path / 'r.jsonl', rows))
    for metric in ('psnr', 'coco/bbox_mAP'):
        assert results.curve('VVC', 'kodak',
                             metric).labels == ('q0', 'q2', 'q3')
    assert results.incomplete() == [('VVC', 'q1', 'kodak', 1)]


def test_point_without_the_metric_is_left_out(tmp_path):
    rows = lines()
    rows[rows.index(coded('VVC', 1, 'b.png'))].pop('psnr')
    results = read_results(write_lines(tmp_path / 'r.jsonl', rows))
    assert results.curve('VVC', 'kodak', 'psnr').labels == ('q0', 'q2', 'q3')
    assert len(results.curve('VVC', 'kodak', 'ms_ssim')) == 4


def test_later_line_counts_and_makes_up_for_a_failure(tmp_path):
    failure = dict(
        kind='failure',
        codec='HEVC',
        point='q0',
        dataset='kodak',
        stage='coding',
        image='a.png',
        error='killed')
    rows = [
        RUN, failure,
        coded('HEVC', 0, 'a.png', psnr=1.0),
        coded('HEVC', 0, 'a.png', psnr=2.0)
    ]
    results = read_results(write_lines(tmp_path / 'r.jsonl', rows))
    assert not results.failures
    assert results.curve('HEVC', 'kodak', 'psnr').quality == [2.0]
    rows = [RUN, dict(failure, image='b.png'), coded('HEVC', 0, 'a.png')]
    results = read_results(write_lines(tmp_path / 'r.jsonl', rows))
    assert [row['error'] for row in results.failures] == ['killed']


def test_task_in_the_model_brings_its_own_rate(tmp_path):
    metrics = {'coco/bbox_mAP': 0.25, 'rate/bpp': 0.11}
    rows = [RUN, task('HEVC', 0, 0.25, metrics=metrics)]
    results = read_results(write_lines(tmp_path / 'r.jsonl', rows))
    curve = results.curve('HEVC', 'kodak', 'coco/bbox_mAP')
    assert (curve.bpp[0], curve.quality[0]) == (0.11, 0.25)
    assert results.metrics('kodak') == ['coco/bbox_mAP']


def test_metric_of_two_tasks_is_named_with_its_task(tmp_path):
    rows = [
        *lines(), *(task('HEVC', point, 0.4 + 0.02 * point, task='rcnn')
                    for point in range(4))
    ]
    results = read_results(write_lines(tmp_path / 'r.jsonl', rows))
    assert results.metrics('kodak')[-2:] == [
        'yolox_box:coco/bbox_mAP', 'rcnn:coco/bbox_mAP'
    ]
    curve = results.curve('HEVC', 'kodak', 'rcnn:coco/bbox_mAP')
    assert curve.quality[0] == 0.4


def test_metric_that_the_run_is_not_about_is_left_out(tmp_path):
    metrics = {'coco/bbox_mAP': 0.25, 'coco/bbox_mAP_s': 0.11}
    rows = [
        RUN,
        task('HEVC', 0, 0.25, metrics=metrics),
        task('HEVC', 0, 0.25, metrics=metrics, task='rcnn')
    ]
    results = read_results(write_lines(tmp_path / 'r.jsonl', rows))
    assert len(results.metrics('kodak')) == 4
    results.run['settings'] = dict(
        tasks=dict(
            yolox_box=dict(metrics=['coco/bbox_mAP']), rcnn=dict(metrics=[])))
    assert results.metrics('kodak') == ['coco/bbox_mAP']


def test_cut_line_is_ignored_and_counted(tmp_path):
    path = write_lines(tmp_path / 'r.jsonl', lines())
    path.write_bytes(path.read_bytes()[:-30])
    results = read_results(path)
    assert results.num_cut_lines == 1
    assert not results.failures
    assert len(results.coded) == 36


def test_file_of_another_version_is_refused(tmp_path):
    rows = [dict(RUN, format=7), *lines()[1:]]
    with pytest.raises(
            ValueError,
            match='has format 7, .* reads format 1.*wrote it: 0.1'):
        read_results(write_lines(tmp_path / 'r.jsonl', rows))


@pytest.mark.parametrize('rows', [[], lines()[1:], [[1, 2]]], ids=len)
def test_file_without_a_line_on_the_run_is_refused(tmp_path, rows):
    with pytest.raises(ValueError, match="begin with a line of kind 'run'"):
        read_results(write_lines(tmp_path / 'r.jsonl', rows))


def test_unknown_or_half_described_line_is_refused(tmp_path):
    with pytest.raises(ValueError, match="line 2: unknown kind .* 'speed'"):
        read_results(
            write_lines(tmp_path / 'r.jsonl', [RUN, dict(kind='speed')]))
    row = coded('HEVC', 0, 'a.png')
    row.pop('image')
    with pytest.raises(ValueError, match="'coded' needs 'image'"):
        read_results(write_lines(tmp_path / 'r.jsonl', [RUN, row]))


def test_curve_that_was_not_measured_is_refused_with_what_was(results):
    with pytest.raises(ValueError, match="'AVIF' with 'psnr'.*HEVC, VVC"):
        results.curve('AVIF', 'kodak', 'psnr')
    with pytest.raises(ValueError, match='measured there: psnr, ms_ssim'):
        results.curve('HEVC', 'kodak', 'lpips')


def test_image_curve_selects_images(results):
    curve = results.image_curve('HEVC', 'kodak', 'psnr')
    assert tuple(curve.images) == NAMES
    selected = curve.select(np.array([2, 2]))
    assert selected.quality[0] == 26
    assert selected.bpp[0] == pytest.approx(8 * 60 / 4800)
    whole = curve.select(np.arange(3))
    np.testing.assert_allclose(whole.quality,
                               results.curve('HEVC', 'kodak', 'psnr').quality)


def kept(tmp_path, found, metric):
    rows = [RUN] + [coded('HEVC', 0, name) for name in NAMES]
    rows.append(
        task('HEVC', 0, 0.5, metrics={metric: 0.5}, predictions='kept.json'))
    (tmp_path / 'kept.json').write_text(json.dumps(found))
    return read_results(write_lines(tmp_path / 'r.jsonl', rows))


def test_segmentation_is_scored_by_its_areas(tmp_path):
    # Intersection, union, predicted, labelled; two classes each.
    found = dict(
        images=NAMES,
        IoUMetric=[[[n, n + 1], [2 * n, 2 * n + 2], [9, 9], [9, 9]]
                   for n in (1, 3, 5)])
    results = kept(tmp_path, found, 'mIoU')
    curve = results.image_curve('HEVC', 'kodak', 'mIoU')
    assert curve.select(np.array([0, 2])).quality[0] == pytest.approx(50)


def test_classes_are_scored_by_their_mean(tmp_path):
    found = dict(images=NAMES, Accuracy=[1, 0, 0])
    curve = kept(tmp_path, found,
                 'accuracy/top1').image_curve('HEVC', 'kodak', 'accuracy/top1')
    assert curve.select(np.array([0, 1])).quality[0] == 50


def test_boxes_are_scored_with_the_annotations(tmp_path):
    pytest.importorskip('pycocotools')
    box = dict(image_id=1, category_id=1, bbox=[5, 5, 20, 20])
    truth = dict(
        images=[
            dict(id=n + 1, file_name=name, width=80, height=60)
            for n, name in enumerate(NAMES)
        ],
        categories=[dict(id=1, name='thing')],
        annotations=[dict(box, id=1, area=400, iscrowd=0)])
    (tmp_path / 'truth.json').write_text(json.dumps(truth))
    (tmp_path / 'coco.bbox.json').write_text(
        json.dumps([dict(box, score=0.9)]))
    results = kept(tmp_path, dict(detections=dict(bbox='coco.bbox.json')),
                   'coco/bbox_mAP')
    curve = results.image_curve('HEVC', 'kodak', 'coco/bbox_mAP',
                                tmp_path / 'truth.json')
    assert curve.select(np.arange(3)).quality[0] == pytest.approx(1)
    with pytest.raises(ValueError, match='needs `annotations`'):
        results.image_curve('HEVC', 'kodak', 'coco/bbox_mAP')
    results.run['settings'] = dict(
        datasets=dict(kodak=dict(annotations=str(tmp_path / 'truth.json'))))
    again = results.image_curve('HEVC', 'kodak', 'coco/bbox_mAP')
    assert again.select(np.arange(3)).quality[0] == pytest.approx(1)


def test_metric_that_cannot_be_selected_is_refused(tmp_path, results):
    with pytest.raises(ValueError, match='kept no predictions'):
        results.image_curve('HEVC', 'kodak', 'coco/bbox_mAP')
    with pytest.raises(ValueError, match='mIoU, top1 and psnr'):
        kept(tmp_path, dict(detections=dict(bbox='x')),
             'coco/bbox_mAP_50').image_curve('HEVC', 'kodak',
                                             'coco/bbox_mAP_50', 'x.json')
    with pytest.raises(ValueError, match="not coded image .* 'z.png'"):
        kept(tmp_path, dict(images=['z.png'], Accuracy=[1]),
             'a/top1').image_curve('HEVC', 'kodak', 'a/top1')
    with pytest.raises(ValueError, match='does not name its `images`'):
        kept(tmp_path, dict(Accuracy=[1]),
             'a/top1').image_curve('HEVC', 'kodak', 'a/top1')


def test_metric_is_of_the_task_that_it_was_asked_of(tmp_path):
    run, *rows = lines(('HEVC', ))
    tasks = dict(
        other=dict(metrics=['coco/segm_mAP']),
        yolox_box=dict(metrics=['coco/bbox_mAP']))
    run = dict(run, settings=dict(run['settings'], tasks=tasks))
    metrics = {'coco/bbox_mAP': 0.9, 'coco/segm_mAP': 0.8}
    others = [
        dict(task('HEVC', point, 0.), task='other', metrics=metrics)
        for point in range(4)
    ]
    path = write_lines(tmp_path / 'results.jsonl', [run, *others, *rows])
    results = read_results(path)
    expected = [
        row['metrics']['coco/bbox_mAP'] for row in rows
        if row['kind'] == 'task' and row['codec'] == 'HEVC'
    ]
    curve = results.curve('HEVC', 'kodak', 'coco/bbox_mAP')
    assert curve.quality.tolist() == expected
    segm = results.curve('HEVC', 'kodak', 'coco/segm_mAP')
    assert set(segm.quality) == {0.8}


def test_settings_of_points_are_read(tmp_path):
    run, *rows = lines(('HEVC', ))
    point = dict(kind='point', codec='HEVC', point='q0', settings=dict(qp=47))
    path = write_lines(tmp_path / 'results.jsonl', [run, point, *rows])
    assert read_results(path).points == [point]
