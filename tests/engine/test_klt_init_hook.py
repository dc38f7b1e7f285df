"""Training that begins with a linear transform of the data."""
import copy

import pytest
import torch
from conftest import Probe, make_runner, tiny_codec, wrapped_model

from mmhmc.engine import KLTInitHook, RateLossHook


@pytest.fixture
def model():
    return wrapped_model(tiny_codec('ScaleHyperprior'))


def weights(model, part):
    codec = model.backbone.codec
    return copy.deepcopy(getattr(codec, part).state_dict())


def equal(one, other):
    return all(torch.equal(one[key], other[key]) for key in one)


def train(model, work_dir, hook, look=lambda runner: None, **kwargs):
    probe = Probe(look)
    runner = make_runner(model, work_dir, [RateLossHook(), hook, probe],
                         **kwargs)
    runner.train()
    return probe.seen


def test_transforms_are_set_and_stand_still_at_first(model, tmp_path):
    before = weights(model, 'g_a')
    seen = train(
        model, tmp_path, KLTInitHook(num_images=6,
                                     frozen_iters=2), lambda runner:
        [weights(runner.model, part) for part in ('g_a', 'g_s', 'h_s')])
    first, second, third = seen[:3]
    assert not equal(before, first[0])
    assert equal(first[0], second[0]) and equal(first[1], second[1])
    assert not equal(first[2], second[2])
    assert not equal(second[0], third[0]) and not equal(second[1], third[1])
    assert all(p.requires_grad for p in model.backbone.codec.g_a.parameters())


def test_other_weights_are_left_alone(model, tmp_path):
    """Both where training begins with some, and where it resumes."""
    train(model, tmp_path / 'a', KLTInitHook(6, 0), max_epochs=1)
    file = str(next((tmp_path / 'a').glob('*.pth')))
    state = torch.load(file, weights_only=False)['state_dict']
    for how in (dict(load_from=file), dict(load_from=file, resume=True)):
        again = wrapped_model(tiny_codec('ScaleHyperprior'))
        hook = KLTInitHook(6, 99)
        hook._set_weights = lambda runner: pytest.fail('set anew')
        seen = train(again, tmp_path / 'b', hook,
                     lambda runner: weights(runner.model, 'g_a'), **how)
        assert seen
        key = 'backbone.codec.g_a.0.weight'
        stood_still = torch.equal(seen[-1]['0.weight'], state[key])
        assert stood_still == ('resume' in how)


@pytest.mark.parametrize('hooks, codec, message', [
    ([], 'ScaleHyperprior', '`custom_hooks` has 0'),
    ([RateLossHook(lmbda_distortion=0.)], 'ScaleHyperprior', 'positive'),
    ([RateLossHook(lmbda_distortion=lambda quality: 1.)
      ], 'ScaleHyperprior', 'is a function'),
    ([RateLossHook()], 'TinyLIC', 'all of stride 2'),
])
def test_what_it_cannot_begin_with_is_refused(hooks, codec, message, tmp_path):
    runner = make_runner(
        wrapped_model(tiny_codec(codec)), tmp_path,
        [*hooks, KLTInitHook(4)])
    with pytest.raises(ValueError, match=message):
        runner.train()


@pytest.mark.parametrize('numbers', [(0, 1), (1, -1)])
def test_impossible_numbers_are_refused(numbers):
    with pytest.raises(ValueError, match='`num_images` must be positive'):
        KLTInitHook(*numbers)
