"""Hooks take their arguments from named dicts of the config."""
import pytest
from conftest import make_runner, tiny_codec, wrapped_model
from mmengine.config import Config

from mmhmc.adapters import DynamicAdaptation
from mmhmc.engine import RateLossHook, TrainingStageHook

CONFIG = dict(
    objective=dict(lmbda_rate=2., lmbda_task=0.1),
    training_stages=dict(
        joint=dict(begin=0, trainable=['codec', 'adapter']),
        adapter=dict(begin=1, trainable=['adapter'])))
HOOKS = [
    dict(type='mmhmc.RateLossHook', settings='objective'),
    dict(type='mmhmc.TrainingStageHook', settings='training_stages')
]


@pytest.fixture
def run(tmp_path):
    """Train with options, and give the hooks that a type names."""

    def train(options, hooks=HOOKS):
        cfg = Config(dict(**CONFIG, custom_hooks=hooks))
        cfg.merge_from_dict(options)
        model = wrapped_model(
            tiny_codec('FactorizedPrior'), DynamicAdaptation(4))
        runner = make_runner(model, tmp_path, cfg.custom_hooks, cfg=cfg)
        runner.train()
        return {type(hook): hook for hook in runner.hooks}

    return train


def test_option_by_name_reaches_the_hook_wherever_it_stands(run):
    options = {
        'objective.lmbda_task': 0.3,
        'training_stages.joint.trainable': ['adapter', 'host'],
        'training_stages.adapter.begin': 2
    }
    for hooks in (HOOKS, [dict(type='mmhmc.FiniteLossHook'), *HOOKS[::-1]]):
        made = run(options, hooks)
        objective = made[RateLossHook]
        assert (objective.lmbda_rate, objective.lmbda_task) == (2., 0.3)
        # What neither says is the default.
        assert objective.lmbda_distortion == RateLossHook().lmbda_distortion
        stages = made[TrainingStageHook].stages
        assert [stage['begin'] for stage in stages] == [0, 2]
        assert stages[0]['trainable'] == ['adapter', 'host']


def test_argument_beside_the_name_wins(run):
    stages = [dict(begin=0, trainable=['adapter'])]
    made = run({
        'custom_hooks.0.lmbda_task': 0.7,
        'custom_hooks.1.stages': stages
    })
    assert made[RateLossHook].lmbda_task == 0.7
    assert made[RateLossHook].lmbda_rate == 2.
    assert made[TrainingStageHook].stages == stages


@pytest.mark.parametrize('options, message', [
    ({
        'objective.lmda': 1.
    }, '`objective` of the config does not fit RateLossHook.*lmda'),
    ({
        'custom_hooks.0.settings': 'nothing'
    }, "must define the dict `nothing`, got None"),
    ({
        'training_stages.adaptr': 500
    }, 'Each stage must be a dict'),
    ({
        'custom_hooks.1.stages.1.begin': 500
    }, 'training_stages.NAME.begin'),
])
def test_mistake_is_told(run, options, message):
    with pytest.raises(ValueError, match=message):
        run(options)
