import pytest
from benchmark_lines import coded, lines, task, write_lines

from mmhmc.evaluation import (RateCurve, compare_codecs, compare_curves,
                              read_results)
from mmhmc.visualization import (benchmark_table, complexity_table,
                                 delta_table, doubt_table, failure_table,
                                 point_table)

pytest.importorskip('bjontegaard')
COLUMNS = [('kodak', 'coco/bbox_mAP'), ('kodak', 'psnr')]


def results_of(tmp_path, rows=None):
    return read_results(
        write_lines(tmp_path / 'results.jsonl', rows or lines()))


def without(rows, codec, point):
    return [
        row for row in rows
        if (row.get('codec'), row.get('point')) != (codec, point)
    ]


def test_anchor_is_first_and_columns_are_as_asked(tmp_path):
    table = benchmark_table(results_of(tmp_path), COLUMNS, 'VVC')
    assert table.header == ['Codec', 'kodak, Box mAP', 'kodak, PSNR (dB)']
    assert table.rows[0] == ['VVC', '0.00 %', '0.00 %']
    assert [row[0] for row in table.rows] == ['VVC', 'HEVC', 'JPEG']
    # Four thirds of the bits; bytes are whole numbers.
    assert table.rows[1][1].startswith('+33.')
    assert 'against VVC' in table.caption


def test_what_is_no_cubic_in_doubt_or_missing_shows(tmp_path):
    rows = without(lines(('HEVC', 'VVC')), 'VVC', 'q3')
    rows[rows.index(coded('HEVC', 2, 'b.png'))]['psnr'] = 20
    results = results_of(tmp_path, rows)
    table = benchmark_table(results, [('kodak', 'coco/bbox_mAP')])
    assert '(pchip)' in table.rows[1][1]
    table = benchmark_table(results, [('kodak', 'psnr')])
    # HEVC does not rise, of VVC there are three points.
    assert table.rows == [['HEVC', '0.00 %'], ['VVC', '–']]
    table = benchmark_table(results, [('kodak', 'lpips')])
    assert table.rows == [['HEVC', '–'], ['VVC', '–']]


def test_figure_in_doubt_has_a_star(tmp_path):
    rows = lines(('HEVC', 'VVC'))
    for name in ('a.png', 'b.png', 'c.png'):
        rows[rows.index(coded('VVC', 2, name))]['psnr'] = 28.5
    results = results_of(tmp_path, rows)
    table = benchmark_table(results, [('kodak', 'psnr')])
    assert table.rows[1][1].endswith(' %*')
    found = compare_codecs(results, 'HEVC', [('kodak', 'psnr')])
    table = delta_table(found)
    assert dict(zip(table.header, table.rows[0]))['In doubt'] == '*'
    assert 'VVC does not get better' in doubt_table(found).rows[0][-1]


def test_deltas_have_overlap_and_interval(tmp_path):
    found = compare_codecs(
        results_of(tmp_path), 'HEVC', [('kodak', 'psnr')], num_samples=10)
    table = delta_table(found)
    assert '95 % interval over images' in table.header
    row = dict(zip(table.header, table.rows[0]))
    interval = found[0].interval
    assert row['BD-rate'] == row['cubic'] == (
        f'{interval.value:+.2f} %').replace('-', '−')
    assert row['95 % interval over images'] == (
        f'{interval.low:+.2f} to {interval.high:+.2f} %').replace('-', '−')
    assert row['Overlap in quality'] == '27 to 33.45 (100%)'
    assert row['BD-quality'].startswith('+0.')
    assert doubt_table(found).rows == []


def test_refused_resamples_show_with_the_method_and_the_quality(tmp_path):
    rows = lines(('HEVC', 'VVC'))
    for row in rows:
        if row.get('point') == 'q3' and 'psnr' in row:
            row['psnr'] += 4 if row['image'] == 'a.png' else -2.5
    found = compare_codecs(
        results_of(tmp_path, rows),
        'HEVC', [('kodak', 'psnr')],
        num_samples=60)
    table = delta_table(found)
    row = dict(zip(table.header, table.rows[0]))
    share = 100 * found[0].interval.refused_share
    assert row['95 % interval over images'].endswith(
        f' %, {share:.2g} % refused')
    assert row['BD-rate'] == row['pchip'] + ', pchip'
    low, high = row['BD-quality'].split('(')[1].split(')')[0].split(' to ')
    assert low < row['BD-quality'].split()[0] < high
    assert row['In doubt'] == '*'
    assert f'{share:.0f}% of the resamples' in doubt_table(found).rows[-1][-1]


def test_delta_that_is_not_there_is_a_dash(tmp_path):
    found = compare_codecs(results_of(tmp_path), 'HEVC', [('kodak', 'lpips')])
    table = delta_table(found)
    assert table.rows[0][3:] == ['–', '–', '', *['–'] * 5]
    assert "with 'lpips'" in doubt_table(found).rows[0][-1]


def test_points_are_all_there_with_the_uncompressed_line(tmp_path):
    rows = point_table(results_of(tmp_path)).rows
    assert len(rows) == 4 * 3 * 4 + 1
    assert rows[0] == ['HEVC', 'q0', 'kodak', 'PSNR (dB)', '0.0833', '27.0000']
    assert ['Uncompressed', '', 'kodak', 'Box mAP', '–', '0.3000'] in rows


def test_complexity_is_split_by_part(tmp_path):
    rows = lines(('HEVC', 'VVC'))
    next(row for row in rows if row['kind'] == 'complexity').pop('kmac')
    rows.append(dict(task(None, None, 0.3), kmac=7.))
    table = complexity_table(results_of(tmp_path, rows))
    assert table.header[3:5] == [
        'KMAC per pixel, encoder', 'KMAC per pixel, decoder'
    ]
    assert table.rows == [[
        'HEVC', 'q0', '1,200', '–', '–', '2.0', '1.0', '3.0', '–'
    ], ['VVC', 'q0', '1,200', '1.50', '2.00', '2.0', '1.0', '3.0', '–'],
                          ['host of yolox_box', *['–'] * 7, '7.00']]


def test_failures_stand_with_points_that_lack_images(tmp_path):
    rows = lines()
    rows.remove(coded('VVC', 1, 'b.png'))
    assert failure_table(results_of(
        tmp_path,
        rows)).rows == [[
            'JPEG', 'q9', 'kodak', 'coding', 'a.png',
            'x265 ended with <1> & "nothing"'
        ],
                        [
                            'VVC', 'q1', 'kodak', 'coding', '–',
                            '1 images are missing; the point is left out.'
                        ]]


def test_anchor_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ValueError, match="anchor 'HM' is not in"):
        benchmark_table(results_of(tmp_path), anchor='HM')


def test_first_figure_is_the_chosen_one_and_each_has_its_own_mark():
    """A cubic that bends back may say anything, and does not come first."""
    anchor, test = (RateCurve(name, bpp, quality, metric='mAP')
                    for name, bpp, quality in (('HEVC',
                                                [0.059, 0.14, 0.311, 0.628],
                                                [0.175, 0.249, 0.286, 0.288]),
                                               ('VVC',
                                                [0.056, 0.13, 0.29, 0.59],
                                                [0.175, 0.25, 0.286, 0.2885])))
    found = compare_curves(anchor, test, 'coco')
    table = delta_table([found])
    row = dict(zip(table.header, table.rows[0]))
    first = next(cell for cell in table.rows[0] if '%' in cell)
    pchip = f'{found.rate["pchip"].value:+.2f} %'.replace('-', '−')
    assert row['BD-rate'] == f'{pchip}, pchip' == first
    assert row['pchip'] == pchip and row['In doubt'] == ''
    assert row['cubic'].endswith(' %*')


def test_doubts_of_a_method_that_was_passed_over_are_told():
    anchor, test = (RateCurve(name, bpp, quality, metric='mAP')
                    for name, bpp, quality in (('HEVC',
                                                [0.059, 0.14, 0.311, 0.628],
                                                [0.175, 0.249, 0.286, 0.288]),
                                               ('VVC',
                                                [0.056, 0.13, 0.29, 0.59],
                                                [0.175, 0.25, 0.286, 0.2885])))
    found = compare_curves(anchor, test, 'coco')
    assert found.method == 'pchip'
    texts = [row[-1] for row in doubt_table([found]).rows]
    assert any('cubic' in text and 'bends back' in text for text in texts)
    assert len(set(texts)) == len(texts)
