import numpy as np
import pytest

from mmhmc.evaluation import RateCurve, bd_quality, bd_rate, published_curve

pytest.importorskip('bjontegaard')

METHODS = ['cubic', 'pchip', 'akima']
every_method = pytest.mark.parametrize('method', METHODS)


def curve(factor=1.0, shift=0.0, num_points=5, name='a', metric='psnr'):
    bpp = 0.1 * 2.0**np.arange(num_points)
    quality = 30 + 3 * np.log2(bpp) + 0.1 * bpp
    return RateCurve(name, factor * bpp, quality + shift, metric=metric)


# Table 1 of the ICIP 2024 slides, whose Kodak column this is.
@pytest.mark.parametrize('name, expected', [('VTM', -25.20),
                                            ('balle2018', 7.68),
                                            ('minnen2018', -13.85),
                                            ('cheng2020-attn', -19.76)])
def test_published_kodak_deltas_are_reached(name, expected):
    delta = bd_rate(
        published_curve('HM').first(4),
        published_curve(name).first(4))
    assert delta.value == pytest.approx(expected, abs=0.01)
    assert not delta.flags


@pytest.mark.parametrize('metric, expected', [('coco/bbox_mAP', -13.4),
                                              ('coco/segm_mAP', -13.3)])
def test_digitised_coco_deltas_are_reached(metric, expected):
    anchor, test = (
        published_curve(name, 'coco_val2017', metric)
        for name in ('cheng2020', 'dynadapt'))
    assert bd_rate(anchor, test).value == pytest.approx(expected, abs=0.1)


@every_method
def test_cheaper_codec_saves_what_it_is_cheaper(method):
    delta = bd_rate(curve(), curve(0.8), method)
    assert delta.value == pytest.approx(-20)
    assert delta.method == method
    assert delta.overlap_share == 1
    assert not delta.flags


@every_method
def test_better_codec_is_better_by_its_distance(method):
    delta = bd_quality(curve(), curve(shift=1.5), method)
    assert delta.value == pytest.approx(1.5)
    assert delta.overlap == pytest.approx((0.1, 1.6))
    assert not delta.flags


@every_method
def test_rate_saving_of_a_metric_to_be_low_is_negative(method):
    a, b = (
        RateCurve(c.name, c.bpp, 1 / c.quality, metric='lpips')
        for c in (curve(), curve(0.8)))
    assert bd_rate(a, b, method).value == pytest.approx(-20)
    assert bd_quality(a, b, method).value < 0


@every_method
def test_order_of_the_points_does_not_matter(method):
    a, b = curve(), curve(0.7)
    turned = RateCurve('b', b.bpp[::-1], b.quality[::-1], metric='psnr')
    assert bd_rate(a, turned, method).value == bd_rate(a, b, method).value


def test_overlap_is_the_common_interval_over_the_joint_one():
    a = RateCurve('a', [0.1, 0.2, 0.4, 0.8], [20, 24, 28, 32])
    b = RateCurve('b', [0.1, 0.2, 0.4, 0.8], [26, 30, 34, 38])
    delta = bd_rate(a, b)
    assert delta.overlap == (26, 32)
    assert delta.overlap_share == pytest.approx(6 / 18)
    assert delta.flags == (
        'The curves overlap on 33% of their joint span only.', )


def test_curves_of_different_quality_are_refused():
    with pytest.raises(
            ValueError, match=r"'a' and 'b' do not overlap: .*"
            'quality'):
        bd_rate(curve(), curve(shift=50, name='b'))


@pytest.mark.parametrize('delta', [bd_rate, bd_quality])
@every_method
def test_ends_of_curves_alone_are_refused(delta, method):

    def pair(share):
        # Of two spans of 1 with a shift of d, 1 - d of 1 + d is common.
        shift = (1 - share) / (1 + share)
        bpp, quality = 0.1 * 2.0**np.arange(4), np.array([20., 24., 28., 32.])
        if delta is bd_rate:
            return (RateCurve('a', bpp, quality),
                    RateCurve('b', bpp, quality + 12 * shift))
        return (RateCurve('a', bpp,
                          quality), RateCurve('b', bpp * 8**shift, quality))

    assert delta(*pair(0.26), method).overlap_share == pytest.approx(0.26)
    with pytest.raises(ValueError, match='overlap on 24% .* needs 25%'):
        delta(*pair(0.24), method)


def test_curves_of_different_rates_are_refused():
    with pytest.raises(ValueError, match='do not overlap: .* rate'):
        bd_quality(curve(), curve(100))


@pytest.mark.parametrize('delta', [bd_rate, bd_quality])
@every_method
def test_one_point_is_refused(delta, method):
    with pytest.raises(ValueError, match=r"'one' has 1 point\(s\)"):
        delta(curve(), curve(num_points=1, name='one'), method)


def test_three_points_are_refused_by_the_cubic_with_a_way_out():
    with pytest.raises(ValueError, match="needs at least 4.*method='pchip'"):
        bd_rate(curve(), curve(num_points=3))
    assert bd_rate(curve(num_points=3), curve(0.8, num_points=3),
                   'pchip').value == pytest.approx(-20)


@pytest.mark.parametrize('method', ['pchip', 'akima'])
def test_non_monotone_curve_is_refused_where_it_is_no_function(method):
    bent = RateCurve('bent', [0.1, 0.2, 0.4, 0.8], [20, 26, 25, 32])
    other = RateCurve('b', [0.1, 0.2, 0.4, 0.8], [20, 24, 28, 32])
    with pytest.raises(ValueError, match="'bent' does not get better"):
        bd_rate(other, bent, method)
    assert bd_quality(other, bent, method).flags == (
        'bent does not get better with every step of rate.', )


def test_non_monotone_curve_is_flagged_by_the_cubic():
    bent = RateCurve('bent', [0.1, 0.2, 0.4, 0.8], [20, 26, 25, 32])
    other = RateCurve('b', [0.1, 0.2, 0.4, 0.8], [20, 24, 28, 32])
    assert 'bent does not get better' in bd_rate(other, bent).flags[0]


def test_cubic_that_bends_between_rising_points_is_flagged():
    steep = RateCurve('steep', [0.1, 0.11, 1.0, 1.01], [20, 29, 30, 39])
    other = RateCurve('b', [0.1, 0.2, 0.4, 0.8], [20, 26, 33, 39])
    assert bd_rate(other, steep).flags == (
        'The cubic curve of steep bends back between its points.', )


def test_equal_qualities_are_refused():
    flat = RateCurve('flat', [0.1, 0.2, 0.4, 0.8], [20, 24, 24, 32])
    with pytest.raises(ValueError, match="'flat' has points of equal qual"):
        bd_rate(flat, flat)


def test_equal_rates_are_refused_for_quality():
    twice = RateCurve('twice', [0.1, 0.2, 0.2, 0.8], [20, 24, 25, 32])
    with pytest.raises(ValueError, match='two points of one rate'):
        bd_quality(twice, twice)


def test_metrics_that_differ_are_refused():
    with pytest.raises(ValueError, match="has 'psnr', 'a' has 'ms_ssim'"):
        bd_rate(curve(), curve(metric='ms_ssim'))


def test_unknown_method_is_refused():
    with pytest.raises(ValueError, match="cubic, pchip, akima, got 'line'"):
        bd_rate(curve(), curve(), 'line')
