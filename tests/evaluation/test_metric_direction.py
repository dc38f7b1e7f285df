"""Of which metrics less is better."""
import numpy as np
import pytest
from benchmark_lines import lines, write_lines
from mmengine.evaluator import BaseMetric

from mmhmc.evaluation import (ImageCurve, LPIPSMetric, MeanScore, RateCurve,
                              RDPoint, bd_rate, bootstrap_bd, lower_is_better,
                              read_results)
from mmhmc.evaluation.metric_direction import lower_of
from mmhmc.losses import FeatureLoss
from mmhmc.registry import METRICS

#: What the classes report, of which less is better.
LOWER = {
    'BitrateMetric':
    ('rate/bpp', 'rate/bpp_estimated', 'rate/bpp_coded', 'rate/bpp_semantic'),
    'DISTSMetric': ('quality/dists', ),
    'FIDMetric': ('quality/fid_2000', 'quality/fid_50000'),
    'KIDMetric': ('quality/kid_2000', ),
    'LPIPSMetric': ('quality/lpips_alex', 'quality/lpips_vgg', 'lpips',
                    'quality/FeatureLoss'),
    'NIQEMetric': ('quality/niqe', ),
    'PointsMetric': ('points/nme', 'points/failures'),
}
#: What others report, of which less is better.
LOWER_OF_OTHERS = ('yolox:quality/LPIPS', 'FID', 'fid-2000', 'lpips-vgg',
                   'lpips+', 'stlpips-vgg', 'niqe_matlab', 'brisque', 'RMSE',
                   'rmse_log', 'abs_rel', 'silog', 'NME', 'EPE', 'MPJPE',
                   'crowd_human/mMR', 'motchallenge-metric/IDSw', 'mATE',
                   'top1_error', 'val_loss', 'feature_distance')
#: What they and the hosts report, of which more is better.
HIGHER = ('psnr', 'ms_ssim', 'ms_ssim_db', 'quality/psnr', 'quality/ssim',
          'saving/saving', 'attributes/accuracy', 'coco/bbox_mAP',
          'coco/segm_mAP_50', 'coco/AR@100', 'mIoU', 'aAcc', 'mDice',
          'accuracy/top1', 'single-label/f1-score', 'retrieval/Recall@1',
          'mse/top1', 'lpips:mIoU', 'coco_panoptic/PQ', 'multi-label/mAP',
          'd1', 'PCK', 'AUC', 'NDS', 'inception_score', '')


def reported():
    return [name for names in LOWER.values() for name in names]


def test_less_of_an_error_is_better():
    names = [*reported(), *LOWER_OF_OTHERS]
    assert [name for name in names if not lower_is_better(name)] == []


def test_more_of_an_accuracy_is_better():
    assert [name for name in HIGHER if lower_is_better(name)] == []


def test_every_metric_of_the_package_says_it_itself():
    ours = {
        name: kind
        for name, kind in METRICS.module_dict.items()
        if kind.__module__.startswith('mmhmc.')
    }
    for name, kind in ours.items():
        stems = kind.lower_is_better
        assert isinstance(stems, tuple)
        assert bool(stems) == (name in LOWER), name
        assert all(any(stem in key for key in LOWER[name]) for stem in stems)


def test_a_metric_of_anyone_says_it_where_it_is_registered(monkeypatch):
    from mmengine.registry import METRICS as ROOT

    class Blur(BaseMetric):
        lower_is_better = ('blurred', )

    assert not lower_is_better('image/blurred')
    monkeypatch.setitem(ROOT.module_dict, 'Blur', Blur)
    assert lower_is_better('image/blurred')
    assert lower_is_better('image/blurred_edges')
    assert not lower_is_better('image/blurredness')


def test_an_evaluator_is_asked_which_of_its_results_are_to_be_low():
    metric = LPIPSMetric(loss=FeatureLoss((4, )))
    metric.lower_is_better = ('Nearness', )
    names = ['quality/Nearness', 'quality/psnr', 'points/nme', 'mIoU']
    assert lower_of([metric], names) == ['quality/Nearness', 'points/nme']


@pytest.mark.parametrize('metric', reported())
def test_falling_curve_is_compared_by_every_method(metric):
    pytest.importorskip('bjontegaard')
    bpp, quality = np.array([.1, .2, .4, .8]), [.4, .3, .25, .22]
    anchor, test = (RateCurve(name, bpp * factor, quality, metric=metric)
                    for name, factor in (('a', 1.), ('b', .8)))
    for method in ('cubic', 'pchip', 'akima'):
        delta = bd_rate(anchor, test, method)
        assert delta.value == pytest.approx(-20)
        assert delta.flags == ()
    images = [
        ImageCurve(c.name, 'xy', [
            RDPoint(np.full(2, rate), MeanScore([q, 1.1 * q]))
            for rate, q in zip(c.bpp, c.quality)
        ], metric) for c in (anchor, test)
    ]
    interval = bootstrap_bd(*images, num_samples=5)
    assert interval.num_refused == 0


def test_what_a_metric_said_stays_with_its_results(tmp_path):
    rows = lines()
    for row in rows:
        if row['kind'] == 'task':
            row['metrics']['blurred'] = 1 - row['metrics']['coco/bbox_mAP']
            row['lower_is_better'] = ['blurred']
    results = read_results(write_lines(tmp_path / 'r.jsonl', rows))
    assert results.curve('HEVC', 'kodak', 'blurred').lower_is_better
    assert results.curve('HEVC', 'kodak', 'blurred').first(3).is_monotone
    assert not results.curve('HEVC', 'kodak', 'coco/bbox_mAP').lower_is_better
    assert not results.curve('HEVC', 'kodak', 'psnr').lower_is_better
