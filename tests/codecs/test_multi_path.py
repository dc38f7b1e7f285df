import pytest
import torch

from mmhmc.codecs.layers import MultiPathStage, PathChoice
from mmhmc.codecs.layers.multi_path import (PathPredictor, draw_mask,
                                            split_positions)

KINDS = dict(one='bottleneck', other='inverted')


def stage(depth=2, kinds=KINDS, drop_path=0.):
    """In float64, with paths that differ, and gains."""
    result = MultiPathStage(16, 3, [drop_path] * depth, 8, kinds).double()
    with torch.no_grad():
        for parameter in result.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
        for predictor in result.predictors.values():
            predictor.shift.zero_()
    return result


def image(batch=2):
    return torch.randn(batch, 16, 6, 7, dtype=torch.float64)


def fixed(monkeypatch, mask):
    monkeypatch.setattr('mmhmc.codecs.layers.multi_path.draw_mask',
                        lambda logits: mask)


@pytest.mark.parametrize('ratio', [0., 0.3, 1.])
@pytest.mark.parametrize('name', KINDS)
def test_training_equals_inference_with_the_same_mask(monkeypatch, ratio,
                                                      name):
    part, x = stage(), image()
    path = PathChoice(name, ratio, 0)
    with torch.no_grad():
        divided = part.eval()(x, 2.5, path)
        fixed(monkeypatch, path.masks[0].double())
        mixed = part.train()(x, 2.5, PathChoice(name, ratio, 0))
    torch.testing.assert_close(mixed, divided, rtol=0, atol=1e-12)


@pytest.mark.parametrize('name', KINDS)
def test_all_on_the_main_path_is_the_stage_without_side_paths(name):
    part, x = stage().eval().float(), image().float()
    with torch.no_grad():
        expected = part(x, 3)
        assert part(x, 3, PathChoice(name, 1., 0)).equal(expected)
        assert not part(x, 3, PathChoice(name, 0., 0)).equal(expected)


def test_side_path_replaces_the_network_of_each_block_and_shares_the_rest():
    part, x = stage().eval(), image()
    with torch.no_grad():
        for block, side in zip(part.blocks, part.sides['other']):
            block.norm2.load_state_dict(side[0].state_dict())
            block.mlp.load_state_dict(side[1].state_dict())
        expected = part(x, 3)
        torch.testing.assert_close(
            part(x, 3, PathChoice('other', 0.5, 0)), expected)


def test_share_of_the_main_path_is_rounded_down_for_each_image():
    part, path = stage().eval(), PathChoice('one', 0.3, 0)
    with torch.no_grad():
        part(image(3), 1, path)
    mask, = path.masks
    assert mask.shape == (3, 6, 7)
    assert mask.sum(dim=(1, 2)).tolist() == [int(42 * 0.3)] * 3


def test_higher_ratio_adds_positions_to_those_there_were():
    scores = torch.randn(1, 5, 9)
    before = set()
    for ratio in torch.linspace(0, 1, 30).tolist():
        main, side = split_positions(scores, ratio)
        assert before <= set(main[0].tolist())
        before = set(main[0].tolist())
        assert sorted(main[0].tolist() + side[0].tolist()) == list(range(45))


def test_highest_scores_win_and_of_equal_ones_the_first():
    scores = torch.tensor([[[1., 3., 2.], [3., 0., 1.]]])
    main, side = split_positions(scores, 0.5)
    assert main.tolist() == [[1, 2, 3]] and side.tolist() == [[0, 4, 5]]
    main, _ = split_positions(torch.zeros(1, 2, 3), 0.5)
    assert main.tolist() == [[0, 1, 2]]


def test_drawn_mask_is_a_bit_with_the_probability_of_the_sigmoid():
    logits = torch.full((100000, ), 0.7, requires_grad=True)
    mask = draw_mask(logits)
    assert set(mask.tolist()) == {0., 1.}
    assert mask.mean().item() == pytest.approx(
        logits[0].sigmoid().item(), abs=0.01)
    mask.sum().backward()
    assert (logits.grad > 0).all() and (logits.grad <= 0.25).all()


def test_ratio_loss_is_zero_where_masks_have_the_ratio():
    path = PathChoice('one', 0.25, 0)
    path.masks.append(torch.tensor([[[1., 0., 0., 0.]]]))
    assert path.ratio_loss() == 0
    path.masks.append(torch.tensor([[[1., 1., 1., 0.]]]))
    assert path.ratio_loss() == 0.5**2 / 2
    # Images do not make up for each other.
    path = PathChoice('one', 0.5, 0)
    path.masks.append(torch.tensor([[[1., 1.]], [[0., 0.]]]))
    assert path.ratio_loss() == 0.25


def test_gradients_reach_predictor_and_both_paths():
    part = stage().train()
    path = PathChoice('one', 0.5, 3)
    out = part(image(), 2, path)
    (out.square().sum() + path.ratio_loss()).backward()
    silent = {
        name
        for name, p in part.named_parameters()
        if p.grad is None or not p.grad.any()
    }
    assert silent and [n for n in silent if '.other.' not in n] == []
    shift = part.predictors['one'].shift.grad
    assert shift.ne(0).tolist() == [i == 3 for i in range(8)]


def test_shift_of_the_score_counts_in_training_only():
    predictor, x = PathPredictor(16, 8), torch.randn(2, 5, 4, 16)
    with torch.no_grad():
        predictor.shift[2] = 0.01
        logits = predictor(x, 0)
        torch.testing.assert_close(predictor(x, 2), logits + 1)
        assert predictor.eval()(x, 2).equal(logits)


def test_score_of_a_position_depends_on_the_whole_image():
    predictor, x = PathPredictor(32, 8).double(), torch.randn(2, 5, 4, 32)
    x = x.double().requires_grad_()
    predictor(x, 0)[0, 0, 0].backward()
    assert x.grad[0].any(dim=-1).all() and not x.grad[1].any()


@pytest.mark.parametrize('name, count', [('one', 507328), ('other', 2009728)])
def test_paths_have_the_published_parameters(name, count):
    with torch.device('meta'):
        stages = [
            MultiPathStage(dim, 7, [0.] * depth, 8, KINDS)
            for dim, depth in ((128, 2), (192, 2), (256, 6))
        ]
    sides = [stage.sides[name] for stage in stages]
    predictors = [stage.predictors[name] for stage in stages]
    assert count == sum(p.numel() for s in sides for p in s.parameters())
    assert [sum(p.numel() for p in s.parameters())
            for s in predictors] == [4664, 10256, 18024]
