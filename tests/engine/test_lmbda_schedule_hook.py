import pytest
from conftest import Probe, make_runner, wrapped_model

from mmhmc.codecs import IdentityCodec
from mmhmc.engine import LmbdaScheduleHook, RateLossHook

POINTS = [(2, 1.), (6, 3.), (7, 0.)]


@pytest.mark.parametrize('iteration, value', [(0, 1.), (2, 1.), (3, 1.5),
                                              (5, 2.5), (6, 3.), (7, 0.),
                                              (99, 0.)])
def test_weight_moves_along_straight_lines(iteration, value):
    hook = LmbdaScheduleHook('lmbda_task', POINTS)
    assert hook.value_at(iteration) == pytest.approx(value)


def test_one_point_is_a_constant():
    hook = LmbdaScheduleHook('lmbda_rate', [(5, 2.)])
    assert [hook.value_at(i) for i in (0, 5, 9)] == [2, 2, 2]


@pytest.mark.parametrize('weight',
                         ['lmbda_rate', 'lmbda_distortion', 'lmbda_task'])
def test_weight_is_set_before_every_iteration(tmp_path, weight):
    steered = RateLossHook()
    probe = Probe(lambda runner: getattr(steered, weight))
    make_runner(
        wrapped_model(IdentityCodec()), tmp_path,
        [steered,
         LmbdaScheduleHook(weight, [(0, 1.), (4, 5.)]), probe]).train()
    assert probe.seen == [1, 2, 3, 4]


def test_unknown_weight_is_refused():
    with pytest.raises(ValueError, match="`weight` must be .* got 'lambda'"):
        LmbdaScheduleHook('lambda', POINTS)


@pytest.mark.parametrize('points', [[], [(3, 1.), (2, 1.)], [(2, 1.),
                                                             (2, 3.)]])
def test_iterations_that_do_not_rise_are_refused(points):
    with pytest.raises(ValueError, match='`points` needs rising iterations'):
        LmbdaScheduleHook('lmbda_rate', points)


@pytest.mark.parametrize('value', [-1., float('nan')])
def test_impossible_value_is_refused(value):
    with pytest.raises(ValueError, match='`lmbda_rate` weighs a part'):
        LmbdaScheduleHook('lmbda_rate', [(0, 1.), (5, value)])


@pytest.mark.parametrize('count', [0, 2])
def test_there_must_be_one_hook_to_steer(tmp_path, count):
    hooks = [RateLossHook() for _ in range(count)]
    runner = make_runner(
        wrapped_model(IdentityCodec()), tmp_path,
        [*hooks, LmbdaScheduleHook('lmbda_rate', POINTS)])
    with pytest.raises(ValueError, match=f'`custom_hooks` has {count}'):
        runner.train()
