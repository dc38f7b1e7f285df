import matplotlib
import numpy as np
import pytest
from PIL import Image, ImageColor

from mmhmc.evaluation import RateCurve
from mmhmc.visualization import axis_label, draw_curves
from mmhmc.visualization.curve_plots import COLOURS


def curve(name='HEVC', shift=0.0, metric='psnr'):
    bpp = 0.1 * 2.0**np.arange(4)
    return RateCurve(name, bpp, 30 + np.log2(bpp) + shift, metric=metric)


def test_a_figure_is_a_png_for_print_and_an_svg(tmp_path):
    png, svg = draw_curves([curve(), curve('VVC', 1)], tmp_path / 'new' / 'a')
    image = Image.open(png)
    assert image.info['dpi'] == pytest.approx((300, 300), abs=0.1)
    assert image.width == 1050  # 3.5 inches
    assert svg.read_text().startswith('<?xml')
    assert sorted(path.name
                  for path in png.parent.iterdir()) == ['a.png', 'a.svg']


def test_many_names_go_below_the_curves_and_long_ones_below_each_other(
        tmp_path):

    def size(number, name=''):
        curves = [curve(f'{name}{i}', i) for i in range(number)]
        return Image.open(draw_curves(curves, tmp_path / 'a')[0]).size

    few, many, long = size(5), size(9), size(9, 'x' * 40)
    assert few[0] == many[0] == long[0]
    assert few[1] < many[1] < long[1]


def test_names_with_points_are_kept(tmp_path):
    files = draw_curves([curve()], tmp_path / 'kodak_v1.5_psnr')
    assert [path.name for path in files
            ] == ['kodak_v1.5_psnr.png', 'kodak_v1.5_psnr.svg']


def test_uncompressed_line_is_dashed(tmp_path):
    _, without = draw_curves([curve()], tmp_path / 'a')
    _, svg = draw_curves([curve()], tmp_path / 'b', uncompressed=31)
    assert 'stroke-dasharray' not in without.read_text()
    assert 'stroke-dasharray' in svg.read_text()


def test_equal_curves_give_equal_files(tmp_path):
    first, second = (draw_curves([curve()], tmp_path / name) for name in 'ab')
    for a, b in zip(first, second):
        assert a.read_bytes() == b.read_bytes()


def test_rate_can_be_logarithmic(tmp_path):
    linear, log = (
        draw_curves([curve()], tmp_path / str(flag), log_rate=flag)[0]
        for flag in (False, True))
    assert linear.read_bytes() != log.read_bytes()


def test_settings_of_matplotlib_stay(tmp_path):
    before = dict(matplotlib.rcParams)
    draw_curves([curve()], tmp_path / 'a', log_rate=True)
    assert dict(matplotlib.rcParams) == before


def test_dollars_are_no_formula(tmp_path):
    # Of an unbalanced formula, matplotlib would make an error.
    draw_curves([curve(r'a $\frac b')], tmp_path / 'a', r'$x_$ \y $')


def test_colours_of_neighbours_differ_in_grey():
    grey = [
        np.dot(ImageColor.getrgb(colour), (0.299, 0.587, 0.114))
        for colour in COLOURS
    ]
    assert len(set(COLOURS)) == 8
    assert (np.abs(np.diff(grey)) > 25).all()


@pytest.mark.parametrize('metric, label', [
    ('psnr', 'PSNR (dB)'),
    ('coco/bbox_mAP', 'Box mAP'),
    ('yolox:coco/segm_mAP', 'Mask mAP, yolox'),
    ('coco/bbox_mAP_s', 'coco/bbox_mAP_s'),
    ('lpips', 'LPIPS (lower is better)'),
    ('quality/lpips_vgg', 'quality/lpips_vgg (lower is better)'),
    ('points:points/nme', 'points/nme (lower is better), points'),
])
def test_axes_have_units(metric, label):
    assert axis_label(metric) == label


def test_curves_that_do_not_belong_together_are_refused(tmp_path):
    with pytest.raises(ValueError, match='those of lpips, psnr'):
        draw_curves([curve(), curve(metric='lpips')], tmp_path / 'a')
    with pytest.raises(ValueError, match='of one metric, got none'):
        draw_curves([], tmp_path / 'a')
