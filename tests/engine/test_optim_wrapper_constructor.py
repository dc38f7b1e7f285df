import pytest
import torch
from conftest import MockTaskModel, tiny_codec, wrapped_model
from mmengine.optim import DefaultOptimWrapperConstructor, build_optim_wrapper
from mmengine.registry import \
    OPTIM_WRAPPER_CONSTRUCTORS as ALL_OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

from mmhmc.adapters import DynamicAdaptation
from mmhmc.engine import CodecOptimWrapperConstructor
from mmhmc.engine.parts import split_parameters
from mmhmc.models import CodecBackbone, CodecModel

CONSTRUCTOR = 'mmhmc.CodecOptimWrapperConstructor'


@pytest.fixture(scope='module')
def model():
    return wrapped_model(tiny_codec('ScaleHyperprior'), DynamicAdaptation(8))


def built(model, paramwise_cfg, **optimizer):
    return build_optim_wrapper(
        model,
        dict(
            type='OptimWrapper',
            optimizer=dict(
                type='AdamW', lr=2e-5, weight_decay=0.05, **optimizer),
            constructor=CONSTRUCTOR,
            paramwise_cfg=paramwise_cfg))


def setting(wrapper, parameter, key):
    """The one value of a setting for a parameter."""
    value, = (
        group[key] for group in wrapper.optimizer.param_groups
        for p in group['params'] if p is parameter)
    return value


PARAMWISE = [
    None,
    dict(codec=dict(lr=1e-4), adapter=dict(lr=1e-3)),
    dict(
        bypass_duplicate=True,
        norm_decay_mult=0.,
        bias_lr_mult=2.,
        codec=dict(lr=1e-4)),
]


@pytest.mark.parametrize('paramwise_cfg', PARAMWISE)
def test_every_parameter_is_in_exactly_one_group(model, paramwise_cfg):
    wrapper = built(model, paramwise_cfg)
    # mmengine leaves out what needs no gradient, here the quantiles, as soon
    # as there are settings of the host's own.
    grouped = [
        id(p) for group in wrapper.optimizer.param_groups
        for p in group['params'] if p.requires_grad
    ]
    assert sorted(grouped) == sorted(
        id(p) for p in model.parameters() if p.requires_grad)


def test_each_part_has_its_learning_rate(model):
    wrapper = built(model, dict(codec=dict(lr=1e-4), adapter=dict(lr=1e-3)))
    rates = dict(codec=1e-4, adapter=1e-3, host=2e-5)
    for part, parameters in split_parameters(model).items():
        assert all(
            setting(wrapper, p, 'lr') == rates[part] for p in parameters)
    # One group for a part, for logs and schedulers.
    assert [g['part'] for g in wrapper.optimizer.param_groups
            ] == ['codec', 'adapter', 'host']


def test_codec_and_adapter_do_not_decay_unless_it_is_asked_for(model):
    parts = split_parameters(model)
    wrapper = built(model, None)
    for part, decay in (('codec', 0), ('adapter', 0), ('host', 0.05)):
        assert setting(wrapper, parts[part][0], 'weight_decay') == decay
    wrapper = built(model, dict(codec=dict(weight_decay=0.01)))
    assert setting(wrapper, parts['codec'][0], 'weight_decay') == 0.01


def test_settings_of_the_host_are_kept(model):
    wrapper = built(
        model,
        dict(
            norm_decay_mult=0.,
            bias_lr_mult=2.,
            custom_keys={'backbone.conv': dict(lr_mult=0.5)},
            codec=dict(lr=1e-4)))
    host = model.backbone.backbone
    assert setting(wrapper, model.head.weight, 'lr') == 2e-5
    assert setting(wrapper, model.head.bias, 'lr') == 4e-5
    assert setting(wrapper, host.conv.weight, 'lr') == 1e-5
    assert setting(wrapper, host.norm.weight, 'weight_decay') == 0
    assert setting(wrapper, model.head.weight, 'weight_decay') == 0.05
    for parameter in model.backbone.codec.g_a.parameters():
        assert setting(wrapper, parameter, 'lr') == 1e-4


def test_host_is_seen_by_its_constructor_as_it_is_without_a_codec(model):

    @ALL_OPTIM_WRAPPER_CONSTRUCTORS.register_module(force=True)
    class NotesNames(DefaultOptimWrapperConstructor):

        def __call__(self, model):
            seen.extend(name for name, _ in model.named_parameters())
            return super().__call__(model)

    seen = []
    built(
        model,
        dict(
            constructor='NotesNames',
            custom_keys=dict(backbone=dict(lr_mult=0.1))))
    assert seen == [name for name, _ in MockTaskModel().named_parameters()]
    # The host's rule for its backbone is none for the codec in it.
    wrapper = built(model, dict(custom_keys=dict(backbone=dict(lr_mult=0.1))))
    backbone = model.backbone
    assert setting(wrapper, backbone.backbone.conv.weight,
                   'lr') == pytest.approx(2e-6)
    assert setting(wrapper, backbone.codec.g_a[0].weight, 'lr') == 2e-5
    assert isinstance(backbone, CodecBackbone)


def test_settings_of_the_optimizer_are_kept(model):
    wrapper = built(model, PARAMWISE[1], betas=(0.8, 0.9))
    for group in wrapper.optimizer.param_groups:
        assert group['betas'] == (0.8, 0.9)


def test_host_can_have_settings_of_its_own(model):
    wrapper = built(model, dict(host=dict(lr=5e-6)))
    assert setting(wrapper, model.head.weight, 'lr') == 5e-6
    codec = model.backbone.codec
    assert setting(wrapper, codec.g_a[0].weight, 'lr') == 2e-5


def test_wrapped_model_is_unwrapped(model):
    wrapper = built(nn.DataParallel(model), PARAMWISE[1])
    assert len(wrapper.optimizer.param_groups) == 3


def test_a_step_moves_each_part_at_its_rate():
    model = wrapped_model(tiny_codec('FactorizedPrior'), DynamicAdaptation(8))
    wrapper = build_optim_wrapper(
        model,
        dict(
            optimizer=dict(type='SGD', lr=0.5),
            constructor=CONSTRUCTOR,
            paramwise_cfg=dict(codec=dict(lr=0.25), adapter=dict(lr=0.))))
    before = {k: p.clone() for k, p in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    wrapper.step()
    for name, parameter in model.named_parameters():
        rate = 0.25 if '.codec.' in name else 0 if '.adapter.' in name else .5
        torch.testing.assert_close(parameter, before[name] - rate)


def test_settings_for_a_part_that_is_absent_are_refused():
    alone = CodecModel(tiny_codec('FactorizedPrior'))
    for part in ('adapter', 'host'):
        with pytest.raises(ValueError, match=f'settings for the {part}, but'):
            built(alone, {part: dict(lr=1e-4)})
    assert len(built(alone, None).optimizer.param_groups) == 1


@pytest.mark.parametrize('part', ['codec', 'adapter', 'host'])
def test_negative_learning_rate_is_refused(part):
    with pytest.raises(
            ValueError, match=f'of the {part} must not be negative'):
        CodecOptimWrapperConstructor(
            dict(optimizer=dict(type='SGD', lr=1)), {part: dict(lr=-1e-4)})


def test_groups_with_keys_of_the_hosts_own_are_kept(model):

    class WithNames(DefaultOptimWrapperConstructor):
        """Layer-wise decay names what is in a group; ours have no names."""

        def __call__(self, model):
            wrapper = super().__call__(model)
            for number, group in enumerate(wrapper.optimizer.param_groups):
                group.update(param_names=[number], weight_decay=0.)
            return wrapper

    ALL_OPTIM_WRAPPER_CONSTRUCTORS.register_module(
        name='WithNames', module=WithNames, force=True)
    wrapper = built(model, dict(constructor='WithNames', bias_decay_mult=0.))
    groups = wrapper.optimizer.param_groups
    assert any('param_names' in group for group in groups)
    for group in groups:
        assert ('param_names' in group) == (group['part'] == 'host')
