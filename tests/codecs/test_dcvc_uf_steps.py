"""The intra codec of DCVC-UF beside its specification, line by line.

`specified` is the specification written down with nothing but torch's
functions; `DCVCUFIntra` computes the same with other layouts, in integers,
and step by step.
"""
import pytest
import torch
from conftest import smooth_images, tiny_codec, vary_gains
from torch.nn.functional import conv2d, pixel_shuffle, pixel_unshuffle

from mmhmc.codecs.layers.gain import Gain
from mmhmc.structures import CodingCondition

#: Position of quarters 0 to 3 in squares of 2 x 2, at each step.
ORDER = ('0123', '3210', '2301', '1032')


def wsilu(t):
    return t * torch.sigmoid(4 * t)


def block(part, x):
    if part.adaptor is not None:
        x = part.adaptor(x)
    out = x + part.leave(part.depthwise(wsilu(part.enter(x))))
    hidden = wsilu(part.widen(out))
    summed = hidden.unflatten(1, (-1, 4)).sum(2)
    out = out + part.narrow(summed)
    return out + x if part.skips else out


def up(part, x):
    pointwise, _, after = part
    return block(after, pixel_shuffle(pointwise(x), 2))


def down(part, x):
    _, pointwise, after = part
    return block(after, pointwise(pixel_unshuffle(x, 2)))


def row(gain, quality):
    """Gains of a quality, or the geometric mean of two."""
    table = gain.gains.abs()
    if quality == int(quality):
        return table[int(quality) - 1][None, :, None, None]
    low, high = table[int(quality) - 1], table[int(quality)]
    share = quality - int(quality)
    return (low**(1 - share) * high**share)[None, :, None, None]


def mask(step, channels, height, width):
    quarters = []
    for position in map(int, ORDER[step]):
        quarter = torch.zeros(1, channels // 4, height, width)
        quarter[..., position // 2::2, position % 2::2] = 1
        quarters.append(quarter)
    return torch.cat(quarters, dim=1)


def specified(codec, x, quality):
    """Everything that the specification names, by name."""
    red, green, blue = x.split(1, dim=1)
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    chroma = (blue - luma) / 1.8556, (red - luma) / 1.5748
    planes = torch.cat((luma - 0.5, *chroma), dim=1)
    # g_a
    first, entering, gain, *blocks, last = codec.g_a
    t = conv2d(pixel_unshuffle(planes, 8), first.weight, first.bias)
    t = block(entering, t) * row(gain, quality)
    assert len(blocks) == 6
    for one in blocks:
        t = block(one, t)
    y = conv2d(t, last.weight, last.bias, stride=2, padding=1)
    # h_a, h_s and fusion
    enter, *halvings = codec.h_a
    z = block(enter, y)
    for one in halvings:
        z = down(one, z)
    *doublings, leave = codec.h_s
    t = z.round()
    for one in doublings:
        t = up(one, t)
    t = block(leave, t)
    *blocks, last = codec.fusion
    for one in blocks:
        t = block(one, t)
    params = last(t)
    common = codec.reduction(params)
    # Four steps.
    y = y * row(codec.q_y_enc, quality)
    y_hat, scales, symbols = (torch.zeros_like(y) for _ in range(3))
    for step in range(4):
        if step:
            t = torch.cat((y_hat, common), dim=1)
            t = block(codec.adaptors[step - 1], t)
            *blocks, last = codec.spatial
            for one in blocks:
                t = block(one, t)
            params = last(t)
        here = mask(step, *y.shape[1:])
        sigma, mean = params.chunk(2, dim=1)
        coded = ((y - mean) * here).round()
        y_hat = y_hat + (coded + mean) * here
        scales = scales + sigma * here
        symbols = symbols + coded
    # g_s
    upsampling, *blocks, gain, (leaving, _) = codec.g_s
    t = up(upsampling, y_hat * row(codec.q_y_dec, quality))
    assert len(blocks) == 12
    for one in blocks:
        t = block(one, t)
    t = pixel_shuffle(block(leaving, t * row(gain, quality)), 8)
    luma, cb, cr = t.split(1, dim=1)
    luma = luma + 0.5
    red, blue = luma + 1.5748 * cr, luma + 1.8556 * cb
    green = (luma - 0.2126 * red - 0.0722 * blue) / 0.7152
    return dict(
        y_hat=y_hat,
        scales=scales.clamp(0.11, 16),
        coded=symbols,
        x_hat=torch.cat((red, green, blue), dim=1))


@pytest.fixture(scope='module')
def codec():
    """In floating point; not to be changed."""
    torch.manual_seed(0)
    codec = vary_gains(tiny_codec('DCVCUFIntra'))
    codec.update_entropy_tables()
    assert sum(isinstance(m, Gain) for m in codec.modules()) == 4
    return codec


@pytest.mark.parametrize('quality', [1, 2, 3, 1.5, 2.75])
def test_codec_computes_what_the_specification_says(codec, quality):
    x = smooth_images(1, 64, 128)
    codec.portable = False
    with torch.no_grad():
        output = codec(x, CodingCondition(quality=quality))
        expected = specified(codec, x, quality)
    # Symbols that are coded at all.
    assert output.y_hat.std() > 1
    torch.testing.assert_close(
        output.y_hat, expected['y_hat'], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        output.x_hat, expected['x_hat'], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize('quality', [1, 2.75])
def test_rate_is_that_of_the_specified_scales(codec, quality):
    x = smooth_images(1, 64, 128)
    codec.portable = False
    with torch.no_grad():
        output = codec(x, CodingCondition(quality=quality))
        expected = specified(codec, x, quality)
    normal = torch.distributions.Normal(0., expected['scales'])
    low, high = (normal.cdf(expected['coded'] + half) for half in (-0.5, 0.5))
    torch.testing.assert_close(
        output.likelihoods['y'], high - low, rtol=1e-2, atol=1e-5)


def test_integers_are_near_what_the_specification_says(codec):
    x = smooth_images(1, 64, 128)
    codec.portable = True
    with torch.no_grad():
        output = codec(x, CodingCondition(quality=2))
        expected = specified(codec, x, 2)['y_hat']
    far = (output.y_hat - expected).abs() > 0.01
    # One symbol that is rounded otherwise changes those after it.
    assert far.float().mean() < 0.02
