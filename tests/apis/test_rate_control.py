"""Files of a wanted size or PSNR, or a word on what can be had."""
import math

import pytest
import torch
from conftest import smooth_images, tiny_codec

from mmhmc.apis.rate_control import TOLERANCE, RateTarget, code_to_target
from mmhmc.bitstream import Bitstream
from mmhmc.codecs import build_codec
from mmhmc.evaluation import PSNRMetric
from mmhmc.functional import to_8_bits
from mmhmc.refinement import LatentRefinement

X = smooth_images(1, 128, 192)
X8 = torch.round(X * 255) / 255


@pytest.fixture(scope='module')
def smooth_rates():
    """A codec whose rate rises with its quality, between whole ones too."""

    class ManyRates:
        num_qualities = 4

        def compress(self, x, condition, refinement=None):
            quality = condition.quality
            self.asked.append(quality)
            size = round(1000 * math.exp(0.7 * quality - 0.05 * quality**2))
            return [
                Bitstream('many', (1, 1), dict(y=bytes(size)), quality=quality)
            ]

    codec = ManyRates()
    codec.asked = []
    return codec


@pytest.mark.parametrize('num_bytes', [1950, 3000, 5000, 7300])
@pytest.mark.parametrize('at_most', [False, True])
def test_a_quality_between_whole_ones_is_found(smooth_rates, num_bytes,
                                               at_most):
    smooth_rates.asked.clear()
    found = code_to_target(smooth_rates, X,
                           RateTarget(num_bytes=num_bytes, at_most=at_most))
    assert abs(found.value / num_bytes - 1) <= TOLERANCE
    assert not at_most or found.value <= num_bytes
    assert found.value == len(found.bitstream.to_bytes())
    assert len(smooth_rates.asked) <= 10


@pytest.mark.parametrize('at_most', [False, True])
def test_learned_qualities_reach_bits_per_pixel(at_most):
    codec = tiny_codec('DCVCUFIntra')
    ends = [
        8 * codec.compress(X, condition)[0].num_bytes / X[0, 0].numel()
        for condition in map(quality, (1., 3.))
    ]
    wanted = sum(ends) / 2
    found = code_to_target(codec, X, RateTarget(bpp=wanted, at_most=at_most))
    assert found.value == 8 * found.bitstream.num_bytes / X[0, 0].numel()
    assert abs(found.value / wanted - 1) <= TOLERANCE
    assert not at_most or found.value <= wanted


def quality(value):
    from mmhmc.structures import CodingCondition
    return CodingCondition(quality=value)


@pytest.mark.parametrize('at_most', [False, True])
def test_whole_qualities_give_the_nearest(at_most):
    codec = build_codec(dict(type='mmhmc.JPEG')).eval()
    sizes = {
        q: codec.compress(X8, quality(q))[0].num_bytes
        for q in range(0, 101)
    }
    wanted = (sizes[40] + 2 * sizes[41]) // 3
    found = code_to_target(codec, X8,
                           RateTarget(num_bytes=wanted, at_most=at_most))
    fitting = [s for s in sizes.values() if s <= wanted or not at_most]
    nearest = min(fitting, key=lambda s: abs(math.log(s / wanted)))
    assert abs(math.log(found.value / wanted)) <= \
        max(abs(math.log(nearest / wanted)), TOLERANCE)
    assert not at_most or found.value <= wanted


@pytest.mark.parametrize('name', ['JPEG', 'WebP'])
@pytest.mark.parametrize('unit', ['num_bytes', 'bpp'])
def test_bytes_are_those_of_the_file_with_its_container(name, unit):
    codec = build_codec(dict(type=f'mmhmc.{name}')).eval()
    stream, = codec.compress(X8, quality(50))
    # What the encoder alone has written, which its file exceeds.
    alone = codec.num_bytes(stream)
    assert alone < stream.num_bytes
    scale = 1 if unit == 'num_bytes' else 8 / X8[0, 0].numel()
    found = code_to_target(codec, X8,
                           RateTarget(**{unit: alone * scale}, at_most=True))
    size = len(found.bitstream.to_bytes())
    assert size <= alone
    assert found.value == pytest.approx(size * scale)


def test_a_psnr_is_that_of_the_image_of_8_bits():
    codec = build_codec(dict(type='mmhmc.JPEG')).eval()
    found = code_to_target(codec, X8, RateTarget(psnr=30., at_most=True))
    x_hat = to_8_bits(codec.decompress([found.bitstream]))
    assert found.value == PSNRMetric().measure(X8, x_hat)
    assert 30 <= found.value < 30.3


def test_one_rate_is_searched_for_by_the_weight():
    codec = tiny_codec('MeanScaleHyperprior')
    refinement = LatentRefinement(0.001, steps=12, lr=0.2)
    few, many = (
        refinement.with_lmbda(0.001 * part).search(codec, X).num_bytes
        for part in (1 / 16, 16))
    wanted = (few + many) // 2
    found = code_to_target(codec, X, RateTarget(num_bytes=wanted), None,
                           refinement)
    assert abs(found.value / wanted - 1) <= TOLERANCE
    assert torch.isfinite(codec.decompress([found.bitstream])).all()


def test_one_rate_without_a_search_is_refused():
    codec = tiny_codec('FactorizedPrior')
    with pytest.raises(ValueError, match='has one rate'):
        code_to_target(codec, X, RateTarget(bpp=0.2))


def test_one_rate_cannot_keep_a_psnr_at_a_wanted_size():
    codec = tiny_codec('MeanScaleHyperprior')
    refinement = LatentRefinement(0.001, steps=2, max_psnr_loss=0.1)
    with pytest.raises(ValueError, match='`max_psnr_loss` .* one rate'):
        code_to_target(codec, X, RateTarget(bpp=0.2), None, refinement)


def test_a_quality_at_a_wanted_size_keeps_its_psnr():
    """The files that are compared are those of the quality that is found."""
    codec = tiny_codec('DCVCUFIntra')
    refinement = LatentRefinement(1e-9, steps=12, lr=0.3, max_psnr_loss=0.01)
    wanted = refinement.refine(codec, X, quality(2.)).bitstream.num_bytes
    found = code_to_target(codec, X, RateTarget(num_bytes=wanted), None,
                           refinement)
    asked = quality(found.bitstream.quality)
    plain = codec.decompress(codec.compress(X, asked), asked)
    x_hat = codec.decompress([found.bitstream], asked)
    errors = [(one - X).square().mean() for one in (x_hat, plain)]
    assert 10 * math.log10(errors[0] / errors[1]) <= 0.01


@pytest.mark.parametrize('target', [
    RateTarget(num_bytes=10**6),
    RateTarget(num_bytes=100),
    RateTarget(bpp=1e-3, at_most=True),
])
def test_what_no_quality_reaches_names_the_nearest(smooth_rates, target):
    with pytest.raises(ValueError, match=r'No quality .* reaches .*nearest'):
        code_to_target(smooth_rates, X, target)


@pytest.mark.parametrize('kwargs, message', [
    (dict(), 'Give one of'),
    (dict(bpp=1., psnr=30.), 'Give one of'),
    (dict(bpp=0.), '`bpp` must be positive'),
    (dict(num_bytes=-5), '`num_bytes` must be positive'),
    (dict(psnr=float('nan')), '`psnr` must be positive'),
])
def test_targets_that_make_no_sense(kwargs, message):
    with pytest.raises(ValueError, match=message):
        RateTarget(**kwargs)
