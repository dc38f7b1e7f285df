import pytest
from benchmark_lines import coded, lines, write_images, write_lines

from mmhmc.evaluation import read_results
from mmhmc.visualization import worst_images

pytest.importorskip('bjontegaard')


def worst_of(tmp_path, rows, num_images=1):
    folder, rows = write_images(tmp_path, rows)
    results = read_results(write_lines(tmp_path / 'results.jsonl', rows))
    return worst_images(results, 'kodak', 'HEVC', folder, num_images)


def spoil(rows, image):
    """Take dB from one image of VVC."""
    for point in range(4):
        row = rows[rows.index(coded('VVC', point, image))]
        row['psnr'] -= 3
    return rows


def test_largest_loss_against_the_anchor_is_found(tmp_path):
    hevc, vvc = worst_of(tmp_path, spoil(lines(('HEVC', 'VVC')), 'b.png'))
    assert (vvc.codec, vvc.image, vvc.point) == ('VVC', 'b.png', 'q0')
    # 3 dB, less what three quarters of the bits are worth.
    assert vvc.gain == pytest.approx(-3 + 0.88, abs=0.1)
    assert vvc.psnr == pytest.approx(24)
    assert vvc.bpp == pytest.approx(8 * 38 / 4800)
    assert vvc.original.is_file() and vvc.decoded.is_file()
    assert hevc.gain is None


def test_lowest_quality_is_found_for_the_anchor(tmp_path):
    hevc, _ = worst_of(tmp_path, lines(('HEVC', 'VVC')))
    assert (hevc.codec, hevc.image) == ('HEVC', 'c.png')
    assert hevc.psnr == 26


def test_there_are_as_many_as_asked(tmp_path):
    found = worst_of(tmp_path, spoil(lines(('HEVC', 'VVC')), 'b.png'), 2)
    assert [worst.image for worst in found][:2] == ['c.png', 'b.png']
    assert found[2].image == 'b.png'
    assert len(found) == 4


def test_loss_is_left_out_where_rates_have_nothing_in_common(tmp_path):
    rows = lines(('HEVC', 'VVC'))
    for row in rows:
        if row['kind'] == 'coded' and row['codec'] == 'VVC':
            row['bytes'] *= 1000
    _, vvc = worst_of(tmp_path, rows)
    assert (vvc.image, vvc.gain) == ('c.png', None)


def test_images_that_were_not_kept_or_measured_are_left_out(tmp_path):
    rows = lines(('HEVC', ))
    results = read_results(write_lines(tmp_path / 'r.jsonl', rows))
    assert worst_images(results, 'kodak', 'HEVC', tmp_path) == []
    for row in rows:
        row.pop('psnr', None)
    assert worst_of(tmp_path, rows) == []
