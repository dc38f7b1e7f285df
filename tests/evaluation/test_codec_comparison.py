import pytest
from benchmark_lines import coded, lines, write_lines

from mmhmc.evaluation import (RateCurve, all_columns, compare_codecs,
                              compare_curves, compare_published, curves_of,
                              published_curve, read_results)

pytest.importorskip('bjontegaard')


def results_of(tmp_path, rows):
    return read_results(write_lines(tmp_path / 'results.jsonl', rows))


def test_every_codec_is_compared_in_every_column(tmp_path):
    results = results_of(tmp_path, lines())
    found = compare_codecs(results, 'HEVC')
    assert [(c.column, c.codec)
            for c in found] == [(column, codec)
                                for column in all_columns(results)
                                for codec in ('VVC', 'JPEG')]
    assert found[0].rate['cubic'].value == pytest.approx(-25, abs=0.1)
    assert set(found[0].quality) == {'cubic', 'pchip', 'akima'}
    assert found[0].method == 'cubic'
    assert found[0].interval is None


def test_interval_is_of_the_figure_in_the_table(tmp_path):
    results = results_of(tmp_path, lines(('HEVC', 'VVC')))
    found, = compare_codecs(
        results, 'HEVC', [('kodak', 'psnr')], num_samples=20)
    assert found.interval.value == found.rate['cubic'].value
    assert found.interval.low == pytest.approx(-25, abs=0.5)
    assert not found.refusals and not found.flags
    assert found.quality_interval is None


def with_last_points(tmp_path, first, others):
    """Images whose last point is by so many dB better."""
    rows = lines(('HEVC', 'VVC'))
    for row in rows:
        if row.get('point') == 'q3' and 'psnr' in row:
            row['psnr'] += first if row['image'] == 'a.png' else others
    return results_of(tmp_path, rows)


def test_quality_has_an_interval_where_many_resamples_have_no_rate(tmp_path):
    results = with_last_points(tmp_path, 4., -2.5)
    found, = compare_codecs(
        results, 'HEVC', [('kodak', 'psnr')], num_samples=60)
    interval, quality = found.interval, found.quality_interval
    assert interval.refused_share > 0.05
    assert interval.method == found.method == 'pchip'
    assert interval.value == found.rate['pchip'].value
    assert f'{interval.refused_share:.0%} of the resamples' in found.flags[-1]
    assert quality.num_refused == 0 and quality.method == 'pchip'
    assert quality.value == found.quality['pchip'].value
    assert quality.low <= quality.value <= quality.high


def test_quality_has_an_interval_where_rate_has_none(tmp_path):
    results = with_last_points(tmp_path, -4., -4.)
    found, = compare_codecs(
        results, 'HEVC', [('kodak', 'psnr')], num_samples=30)
    assert found.interval is None
    assert any(text.startswith('No interval') for text in found.refusals)
    assert found.quality_interval.num_refused == 0


def test_what_is_refused_stands_beside_what_is_not(tmp_path):
    rows = [
        row for row in lines(('HEVC', 'VVC'))
        if not (row.get('codec') == 'VVC' and row.get('point') == 'q3')
    ]
    found, = compare_codecs(
        results_of(tmp_path, rows), 'HEVC', [('kodak', 'psnr')])
    assert set(found.rate) == {'pchip', 'akima'}
    assert found.method == 'pchip'
    assert len(found.refusals) == 2
    assert 'bd_rate, cubic' in found.refusals[0]


def test_curve_that_is_not_there_is_a_refusal(tmp_path):
    rows = [
        row for row in lines()
        if row.get('kind') != 'task' or row['codec'] in ('HEVC', 'VVC')
    ]
    vvc, jpeg = compare_codecs(
        results_of(tmp_path, rows), 'HEVC', [('kodak', 'coco/bbox_mAP')])
    assert vvc.rate and jpeg.method is None and not jpeg.flags
    assert "no point of 'JPEG'" in jpeg.refusals[0]


def test_interval_that_is_refused_leaves_the_figure(tmp_path):
    found, = compare_codecs(
        results_of(tmp_path, lines(('HEVC', 'VVC'))),
        'HEVC', [('kodak', 'coco/bbox_mAP')],
        num_samples=5)
    assert found.rate and found.interval is None
    assert 'No interval: Point' in found.refusals[0]


def test_flags_are_those_of_the_figure_in_the_table(tmp_path):
    rows = lines(('HEVC', 'VVC'))
    for name in ('a.png', 'b.png', 'c.png'):
        rows[rows.index(coded('VVC', 2, name))]['psnr'] = 28.5
    found, = compare_codecs(
        results_of(tmp_path, rows), 'HEVC', [('kodak', 'psnr')])
    assert found.flags[0].startswith('VVC does not get better')
    assert 'does not get better' in found.refusals[0]


def test_anchor_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ValueError, match="anchor 'AVIF' .* HEVC, VVC, JPEG"):
        compare_codecs(results_of(tmp_path, lines()), 'AVIF')


def test_figure_shows_what_there_is_and_what_was_published(tmp_path):
    results = results_of(tmp_path, lines())
    named = [
        curve.name
        for curve in curves_of(results, ('kodak', 'psnr'), ['HM', 'H264'])
    ]
    assert named == ['HEVC', 'VVC', 'JPEG', 'HM (published)']
    column = 'kodak', 'coco/bbox_mAP'
    assert len(curves_of(results, column, ['HM'])) == 3
    assert curves_of(results, ('kodak', 'lpips'), []) == []


def test_published_curves_are_compared_without_results():
    curves = [published_curve(name).first(4) for name in ('HM', 'VTM')]
    found = compare_curves(*curves, 'kodak')
    assert (found.codec, found.anchor) == ('VTM', 'HM')
    assert found.column == ('kodak', 'psnr')
    assert found.rate['cubic'].value == pytest.approx(-25.20, abs=0.01)
    assert found.rate['akima'].value == pytest.approx(-25.205, abs=0.001)


def test_published_curves_are_compared_with_ones_own_anchor(tmp_path):
    results = results_of(tmp_path, lines())
    found = compare_published(results, 'HEVC', all_columns(results), ['HM'])
    assert [c.column[1] for c in found] == ['psnr', 'ms_ssim', 'ms_ssim_db']
    assert {c.codec for c in found} == {'HM (published)'}
    assert {c.anchor for c in found} == {'HEVC'}
    assert compare_published(results, 'AVIF', [('kodak', 'psnr')],
                             ['HM']) == []


def test_published_curve_ends_near_the_highest_rate(tmp_path):
    whole = published_curve('HM', 'kodak', 'psnr')
    results = results_of(tmp_path, lines(('HEVC', )))
    _, shown = curves_of(results, ('kodak', 'psnr'), ['HM'])
    highest = results.curve('HEVC', 'kodak', 'psnr').bpp[-1]
    assert 4 <= len(shown) < len(whole)
    assert len(shown) == 4 or shown.bpp[-2] <= highest < shown.bpp[-1]
    assert shown.bpp.tolist() == whole.bpp[:len(shown)].tolist()


def test_codecs_stand_in_the_order_of_the_settings(tmp_path):
    run, *rows = lines()
    entries = dict(JPEG={}, VVC={}, HEVC={})
    run = dict(run, settings=dict(run['settings'], codecs=entries))
    assert results_of(tmp_path, [run, *rows]).codecs == ['JPEG', 'VVC', 'HEVC']
    entries = dict(JPEG=dict(without_adapter='HEVC'), VVC={})
    run = dict(run, settings=dict(run['settings'], codecs=entries))
    assert results_of(tmp_path, [run, *rows]).codecs == ['JPEG', 'HEVC', 'VVC']


def test_anchor_that_failed_whole_is_said_in_each_comparison(tmp_path):
    run, *rows = lines(('VVC', 'JPEG'))
    entries = dict(HEVC={}, VVC={}, JPEG={})
    run = dict(run, settings=dict(run['settings'], codecs=entries))
    found = compare_codecs(
        results_of(tmp_path, [run, *rows]), 'HEVC', [('kodak', 'psnr')])
    assert [c.codec for c in found] == ['VVC', 'JPEG']
    for comparison in found:
        assert comparison.method is None
        assert "no point of 'HEVC'" in comparison.refusals[0]


def test_method_without_doubt_stands_for_a_cubic_that_bends_back():
    anchor, test = (RateCurve(name, bpp, quality, metric='mAP')
                    for name, bpp, quality in (('HEVC',
                                                [0.059, 0.14, 0.311, 0.628],
                                                [0.175, 0.249, 0.286, 0.288]),
                                               ('VVC',
                                                [0.056, 0.13, 0.29, 0.59],
                                                [0.175, 0.25, 0.286, 0.2885])))
    found = compare_curves(anchor, test, 'coco')
    assert any('bends back' in flag for flag in found.rate['cubic'].flags)
    assert found.method == 'pchip' and found.flags == ()


def test_cubic_stands_where_all_are_in_doubt():
    anchor = RateCurve('HEVC', [1., 2., 4., 8.], [30., 32., 34., 36.])
    test = RateCurve('VVC', [1., 2., 4., 8.], [32.5, 34., 36., 39.])
    found = compare_curves(anchor, test, 'kodak')
    assert all(delta.flags for delta in found.rate.values())
    assert found.method == 'cubic'


def test_cubic_that_bends_back_does_not_stand_for_pchip_with_little_overlap():
    anchor = RateCurve('HEVC', [1., 2., 4., 8.], [30., 37., 38., 38.1])
    test = RateCurve('VVC', [1., 2., 4., 8.], [20., 24., 28., 36.])
    found = compare_curves(anchor, test, 'kodak')
    assert all(delta.flags for delta in found.rate.values())
    assert found.rate['cubic'].bends and not found.rate['pchip'].bends
    assert found.method == 'pchip'
