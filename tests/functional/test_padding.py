import pytest
import torch

from mmhmc.functional import crop_to, extend_edges, padded_size


@pytest.mark.parametrize('size, multiple, expected', [
    ((1, 1), 64, (64, 64)),
    ((64, 128), 64, (64, 128)),
    ((65, 127), 64, (128, 128)),
    ((17, 5), 1, (17, 5)),
    ((17, 5), 16, (32, 16)),
])
def test_padded_size_is_the_smallest_that_fits(size, multiple, expected):
    assert padded_size(size, multiple) == expected


@pytest.mark.parametrize('size, multiple', [((0, 5), 64), ((5, -1), 64),
                                            ((5, 5), 0)])
def test_empty_size_is_refused(size, multiple):
    with pytest.raises(ValueError, match=r'must be positive, got \('):
        padded_size(size, multiple)


def by_hand(x, sizes, target):
    out = torch.empty(*x.shape[:2], *target)
    for b, (h, w) in enumerate(sizes):
        for i in range(target[0]):
            for j in range(target[1]):
                out[b, :, i, j] = x[b, :, min(i, h - 1), min(j, w - 1)]
    return out


@pytest.mark.parametrize('sizes, target', [
    ([(5, 7), (5, 7)], (8, 8)),
    ([(5, 7), (3, 2)], (5, 7)),
    ([(1, 1), (4, 7)], (6, 9)),
    ([(4, 3), (2, 5)], (4, 5)),
])
def test_values_beyond_a_image_repeat_its_edge(sizes, target):
    x = torch.rand(2, 3, 5, 7)
    out = extend_edges(x, sizes, target)
    assert torch.equal(out, by_hand(x, sizes, target))


def test_batch_padding_does_not_matter():
    x, sizes = torch.rand(2, 3, 6, 8), [(4, 5), (6, 3)]
    other = x.clone()
    other[0, :, 4:] = other[0, :, :, 5:] = other[1, :, :, 3:] = torch.nan
    assert torch.equal(
        extend_edges(x, sizes, (8, 8)), extend_edges(other, sizes, (8, 8)))


def test_batch_that_fits_is_returned_as_it_is():
    x = torch.rand(2, 3, 4, 6)
    assert extend_edges(x, [(4, 6)] * 2, (4, 6)) is x


def test_gradient_of_padding_belongs_to_the_edge():
    x = torch.rand(1, 1, 3, 3, requires_grad=True)
    extend_edges(x, [(2, 2)], (4, 4)).sum().backward()
    expected = torch.tensor([[1., 3, 0], [3, 9, 0], [0, 0, 0]])
    assert torch.equal(x.grad[0, 0], expected)
    both = torch.rand(2, 1, 3, 3, requires_grad=True)
    extend_edges(both, [(2, 2), (3, 3)], (4, 4)).sum().backward()
    assert torch.equal(both.grad[0, 0], expected)
    assert both.grad[1].sum() == 16


@pytest.mark.parametrize('size', [(6, 7), (5, 8), (0, 3), (3, 0), (-1, 3)])
def test_size_that_does_not_fit_is_refused(size):
    with pytest.raises(ValueError, match=r'does not fit: .* at most \(5, 7\)'):
        extend_edges(torch.rand(1, 3, 5, 7), [size], (64, 64))


def test_target_smaller_than_a_image_is_refused():
    with pytest.raises(ValueError, match=r'at most \(4, 7\)'):
        extend_edges(torch.rand(1, 3, 5, 7), [(5, 7)], (4, 8))


def test_crop_undoes_padding():
    x = torch.rand(2, 3, 5, 7)
    assert torch.equal(
        crop_to(extend_edges(x, [(5, 7)] * 2, (64, 64)), (5, 7)), x)
