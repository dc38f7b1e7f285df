import pytest
import torch
from compressai.layers import CheckerboardMaskedConv2d

from mmhmc.codecs.layers.checkerboard import (ANCHORS, BETWEEN_ANCHORS,
                                              MaskedConv2d, spread_phases,
                                              take_phases)


def masked_conv():
    return MaskedConv2d.of(
        CheckerboardMaskedConv2d(3, 4, kernel_size=5, padding=2))


@pytest.mark.parametrize('size', [(2, 2), (4, 6), (8, 2)])
def test_phases_are_the_squares_of_a_checkerboard(size):
    row, column = torch.meshgrid(*map(torch.arange, size), indexing='ij')
    for parity_of, phases in enumerate((ANCHORS, BETWEEN_ANCHORS)):
        parity = take_phases(((row + column) % 2)[None, None], phases)
        assert parity.shape == (1, 1, size[0], size[1] // 2)
        assert (parity == parity_of).all()
        # Every value stays in its row.
        rows = take_phases(row[None, None], phases)
        assert torch.equal(rows, row[None, None, :, ::2])


@pytest.mark.parametrize('size', [(2, 2), (4, 6), (8, 2)])
def test_what_is_taken_can_be_put_back(size):
    x = torch.randn(2, 3, *size)
    parts = [
        spread_phases(take_phases(x, phases), phases)
        for phases in (ANCHORS, BETWEEN_ANCHORS)
    ]
    assert torch.equal(parts[0] + parts[1], x)
    assert not (parts[0] * parts[1]).any()


def test_gradient_passes_through_both():
    x = torch.randn(1, 2, 4, 4, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda x: spread_phases(take_phases(x, BETWEEN_ANCHORS), ANCHORS),
        (x, ))


def test_masked_convolution_is_that_of_compressai():
    ours, x = masked_conv(), torch.randn(2, 3, 6, 8)
    theirs = CheckerboardMaskedConv2d(3, 4, kernel_size=5, padding=2)
    theirs.load_state_dict(ours.state_dict())
    weight = ours.weight.clone()
    assert torch.equal(ours(x), theirs(x))
    assert torch.equal(ours.weight, weight)
    assert not torch.equal(theirs.weight, weight)


def test_masked_convolution_has_twelve_taps_of_the_other_phase():
    conv = masked_conv()
    taps = conv.mask[0, 0].nonzero()
    assert len(taps) == 12 and (taps.sum(dim=1) % 2 == 1).all()
    x = torch.randn(1, 3, 6, 6)
    # What lies between anchors depends on anchors only.
    seen = [
        take_phases(conv(one), BETWEEN_ANCHORS)
        for one in (x, spread_phases(take_phases(x, ANCHORS), ANCHORS))
    ]
    torch.testing.assert_close(*seen)


def test_hidden_weights_get_no_gradient_and_can_be_forgotten():
    conv = masked_conv()
    conv(torch.randn(1, 3, 6, 6)).square().sum().backward()
    assert not conv.weight.grad[conv.mask == 0].any()
    before = conv.weight.clone()
    conv.forget_hidden()
    assert not conv.weight[conv.mask == 0].any()
    assert torch.equal(conv.weight[conv.mask == 1], before[conv.mask == 1])
