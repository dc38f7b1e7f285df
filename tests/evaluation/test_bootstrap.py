import numpy as np
import pytest

from mmhmc.evaluation import (ImageCurve, MeanScore, RDPoint, bd_quality,
                              bd_rate, bootstrap_bd)

pytest.importorskip('bjontegaard')


def curve(factor=1.0, num_images=30, noise=0.0, shift=0.0):
    """Images that differ much from each other, at four rates."""
    rng = np.random.default_rng(3)
    cost = rng.lognormal(0, 0.6, num_images)
    points = []
    for label, rate in enumerate([0.1, 0.2, 0.4, 0.8]):
        bpp = rate * cost
        quality = 30 + 3 * np.log2(rate) + shift + rng.normal(size=num_images)
        points.append(
            RDPoint(factor * bpp * rng.lognormal(0, noise, num_images),
                    MeanScore(quality), f'q{label}'))
    return ImageCurve('a', [f'{n}' for n in range(num_images)], points, 'psnr')


def test_whole_selection_is_the_curve_of_the_means():
    selected = curve().select(np.arange(30))
    assert selected.labels == ('q0', 'q1', 'q2', 'q3')
    assert selected.bpp[0] == curve().points[0].bpp.mean()


def test_same_images_are_drawn_for_both():
    # A fixed factor shows in every resample, however the images differ.
    interval = bootstrap_bd(curve(), curve(0.8), num_samples=50)
    assert interval.value == pytest.approx(-20)
    assert interval.low == pytest.approx(-20)
    assert interval.high == pytest.approx(-20)
    assert interval.num_samples == 50
    assert interval.num_refused == 0


def test_anchor_is_scored_once_for_all_comparisons():
    asked = []

    class Counted(MeanScore):

        def score(self, indices):
            asked.append(indices)
            return super().score(indices)

    plain = curve()
    anchor = ImageCurve(plain.name, plain.images, [
        RDPoint(point.bpp, Counted([point.scorer.score([n])
                                    for n in range(30)]), point.label)
        for point in plain.points
    ], plain.metric)
    first = bootstrap_bd(anchor, curve(0.8), num_samples=20)
    count = len(asked)
    assert count == 21 * len(anchor.points)
    bootstrap_bd(anchor, curve(0.7), num_samples=20)
    assert len(asked) == count
    assert bootstrap_bd(anchor, curve(0.8), num_samples=20) == first


def test_interval_holds_the_value_and_narrows_with_images():
    widths = []
    for count in (20, 320):
        interval = bootstrap_bd(
            curve(num_images=count),
            curve(0.8, num_images=count, noise=0.3),
            num_samples=200)
        assert interval.low < interval.value < interval.high
        widths.append(interval.high - interval.low)
    assert widths[1] < widths[0] / 2


def test_lower_level_is_narrower():
    wide, narrow = (
        bootstrap_bd(
            curve(), curve(0.8, noise=0.3), num_samples=100, level=level)
        for level in (0.95, 0.5))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_seed_decides():
    first, again, other = (
        bootstrap_bd(
            curve(), curve(0.8, noise=0.3), num_samples=40, seed=seed)
        for seed in (0, 0, 1))
    assert first == again != other


def saturating(name, factor, num_images=8):
    """Images that saturate, some of which nearly fall at the end."""
    ends = np.resize([0.2, -0.1], num_images)
    qualities = (10., 20., 25., 25.)
    return ImageCurve(name, [f'{n}' for n in range(num_images)], [
        RDPoint(
            np.full(num_images, factor * rate),
            MeanScore(quality + last * ends))
        for rate, quality, last in zip((0.1, 0.2, 0.4,
                                        0.8), qualities, (0, 0, 0, 30))
    ], 'mAP')


def test_all_resamples_take_pchip_where_a_cubic_bends_back():
    anchor, test = saturating('a', 1.), curve(0.8, num_images=8)
    test = ImageCurve('b', anchor.images, [
        RDPoint(point.bpp, MeanScore(np.full(8, quality)))
        for point, quality in zip(test.points, (12., 17., 22., 27.))
    ], 'mAP')
    generator = np.random.default_rng(0)
    pairs = []
    for _ in range(40):
        drawn = generator.integers(8, size=8)
        pairs.append((anchor.select(drawn), test.select(drawn)))
    rising = [pair for pair in pairs if pair[0].is_monotone]
    assert {bd_rate(*pair).bends for pair in rising} == {False, True}
    found = bootstrap_bd(anchor, test, num_samples=40)
    assert found.method == 'pchip'
    whole = np.arange(8)
    assert found.value == bd_rate(
        anchor.select(whole), test.select(whole), 'pchip').value
    values = [bd_rate(*pair, 'pchip').value for pair in rising]
    assert found.low == pytest.approx(np.quantile(values, 0.025))
    assert found.high == pytest.approx(np.quantile(values, 0.975))
    assert found.low < found.value < found.high
    assert found.num_refused == 40 - len(rising) > 0
    assert found.refused_share == found.num_refused / 40


def test_cubic_that_never_bends_is_the_method():
    assert bootstrap_bd(curve(), curve(0.8), num_samples=20).method == 'cubic'


def test_curves_of_two_points_have_an_interval():
    short = [
        ImageCurve('a', c.images, c.points[:2], 'psnr')
        for c in (curve(), curve(0.8))
    ]
    assert bootstrap_bd(*short, num_samples=5).low == pytest.approx(-20)


def test_quality_has_an_interval_too():
    interval = bootstrap_bd(
        curve(), curve(shift=1.5), num_samples=20, delta=bd_quality)
    assert interval.low == pytest.approx(1.5)
    assert interval.high == pytest.approx(1.5)


def test_mean_similarity_is_put_into_decibel():
    points = [
        RDPoint(np.ones(2), MeanScore([0.8, 1.0])),
    ]
    selected = ImageCurve('a', ['x', 'y'], points,
                          'ms_ssim_db').select(np.arange(2))
    assert selected.quality[0] == pytest.approx(10)


def test_other_images_are_refused():
    with pytest.raises(ValueError, match='same images.*30 and 29'):
        bootstrap_bd(curve(), curve(num_images=29))


@pytest.mark.parametrize('arguments', [
    dict(num_samples=0),
    dict(level=1.0),
])
def test_arguments_out_of_range_are_refused(arguments):
    with pytest.raises(ValueError, match='needs at least 2 images'):
        bootstrap_bd(curve(), curve(0.8), **arguments)


def rising_by_one_image(which, name):
    """Ten images of which all but one get worse with rate."""
    slopes = np.full(10, -1.0)
    slopes[which] = 9.2
    return ImageCurve(name, 'abcdefghij', [
        RDPoint(np.full(10, 0.1 * 2.0**n), MeanScore(30 + n * slopes))
        for n in range(4)
    ])


@pytest.mark.parametrize('method', [None, 'pchip'])
def test_refused_resamples_are_counted(method):
    rising = rising_by_one_image(0, 'a')
    interval = bootstrap_bd(rising, rising, method, num_samples=60)
    assert interval.num_samples + interval.num_refused == 60
    assert 10 < interval.num_refused < 30


def test_interval_of_mostly_refused_resamples_is_refused():
    with pytest.raises(ValueError, match='of 60 resamples have a delta'):
        bootstrap_bd(
            rising_by_one_image(0, 'a'),
            rising_by_one_image(1, 'b'),
            'pchip',
            num_samples=60)


def test_point_needs_a_rate_for_each_image():
    with pytest.raises(ValueError, match=r'shape \(2,\) for 3 images'):
        ImageCurve('a', 'xyz', [RDPoint(np.ones(2), MeanScore([1, 2, 3]))])
