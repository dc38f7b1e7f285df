"""A codec or an adapter takes all of its weights, or says what is there."""
import pytest
import torch
from conftest import (CODECS, PREPROCESSOR, TinyBackbone, tiny_codec,
                      wrapped_model)
from mmengine.runner import load_checkpoint
from torch import nn

from mmhmc.adapters import DynamicAdaptation, MachineSynthesis
from mmhmc.codecs import build_codec
from mmhmc.models import CodecBackbone, CodecModel
from mmhmc.part_weights import find_part, load_part, pretrained

NAME = 'MeanScaleHyperprior'


def settings(**kwargs):
    return {**CODECS[NAME], 'type': f'mmhmc.{NAME}', **kwargs}


@pytest.fixture(scope='module')
def trained():
    torch.manual_seed(0)
    return tiny_codec(NAME)


def save(path, state):
    torch.save(dict(state_dict=state), path)
    return str(path)


def below(prefix, module):
    return {prefix + key: value for key, value in module.state_dict().items()}


def is_equal(one, other):
    return all(
        torch.equal(value,
                    other.state_dict()[key])
        for key, value in one.state_dict().items())


@pytest.mark.parametrize('place', ['', 'codec.', 'backbone.codec.', 'a.b.'])
@pytest.mark.parametrize('given', [True, False])
def test_codec_is_found_wherever_a_checkpoint_has_it(trained, tmp_path, place,
                                                     given):
    state = below(place, trained)
    if place:
        state['head.weight'] = torch.zeros(2)
    path = save(tmp_path / 'a.pth', state)
    init = dict(type='Pretrained', checkpoint=path)
    if given and place:
        init['prefix'] = place
    codec = build_codec(settings(init_cfg=init))
    codec.init_weights()
    assert is_equal(trained, codec)


def test_codec_in_a_backbone_needs_no_prefix(trained, tmp_path):
    path = save(tmp_path / 'a.pth', below('codec.', trained))
    backbone = CodecBackbone(
        settings(init_cfg=dict(type='Pretrained', checkpoint=path)),
        TinyBackbone(), PREPROCESSOR)
    backbone.init_weights()
    assert is_equal(trained, backbone.codec)


def test_adapter_is_found_too(tmp_path):
    adapter = DynamicAdaptation(4)
    nn.init.ones_(adapter.layers[-1].weight)
    path = save(tmp_path / 'a.pth', below('backbone.adapter.', adapter))
    other = DynamicAdaptation(
        4, init_cfg=dict(type='Pretrained', checkpoint=path))
    other.init_weights()
    assert is_equal(adapter, other)
    wider = DynamicAdaptation(
        8, init_cfg=dict(type='Pretrained', checkpoint=path))
    with pytest.raises(ValueError, match='DynamicAdaptation .* size mismatch'):
        wider.init_weights()


@pytest.mark.parametrize('change, said', [
    (lambda state: {
        'backbone.conv1.weight': torch.zeros(1)
    }, 'not expected backbone.conv1.weight'),
    (lambda state: {
        k: v
        for k, v in state.items() if '.h_s.' not in k
    }, r'missing h_s\.0\.weight'),
    (lambda state: dict(state, **{'codec.g_a.0.bias': torch.zeros(16)}),
     r'size mismatch for g_a\.0\.bias'),
    (lambda state: dict(state, **{'codec.more.bias': torch.zeros(16)}),
     r'not expected more\.bias'),
])
def test_pretrained_that_does_not_fit_is_refused(trained, tmp_path, change,
                                                 said):
    path = save(tmp_path / 'a.pth', change(below('codec.', trained)))
    codec = build_codec(
        settings(init_cfg=dict(type='Pretrained', checkpoint=path)))
    with pytest.raises(ValueError, match=rf'a\.pth does not fit .*{said}'):
        codec.init_weights()


def test_wrong_prefix_is_refused_with_what_is_there(trained, tmp_path):
    path = save(tmp_path / 'a.pth', below('codec.', trained))
    codec = build_codec(
        settings(
            init_cfg=dict(
                type='Pretrained', checkpoint=path, prefix='backbone.codec.')))
    with pytest.raises(ValueError, match=r"'backbone\.codec\.'.* has codec\."):
        codec.init_weights()


def test_pretrained_without_a_checkpoint_is_refused():
    codec = build_codec(settings(init_cfg=dict(type='Pretrained')))
    with pytest.raises(ValueError, match='names no `checkpoint`'):
        codec.init_weights()


@pytest.mark.parametrize('init', [dict(checkpoint='a.pth'), 'a.pth'])
def test_initialisation_without_a_type_is_refused(init):
    with pytest.raises(ValueError, match="like dict.type='Pretrained'"):
        pretrained(init)


def test_synthesis_of_the_machine_is_not_that_of_the_codec(trained):
    # Both have the keys of g_s; the codec has others beside them.
    adapter = MachineSynthesis()
    adapter.begin_as(trained.g_s)
    torch.nn.init.zeros_(next(adapter.parameters()))
    state = {
        **below('backbone.codec.', trained),
        **below('backbone.adapter.', adapter)
    }
    assert find_part(adapter, state) == 'backbone.adapter.'
    other = MachineSynthesis()
    other.begin_as(trained.g_s)
    load_part(other, state, 'model.pth')
    assert is_equal(other, adapter)
    assert find_part(trained, state) == 'backbone.codec.'


def test_two_places_are_not_chosen_from(trained):
    state = {**below('one.', trained), **below('other.', trained)}
    with pytest.raises(ValueError, match='in 2 places: one., other..'):
        find_part(trained, state)
    # But the usual one is.
    state.update(below('backbone.codec.', trained))
    assert find_part(trained, state) == 'backbone.codec.'
    with pytest.raises(ValueError, match='file does not fit'):
        load_part(trained, {'a.b': torch.zeros(1)}, 'file')


# What mmengine loads of a whole model.


def other_model(adapter=None, **kwargs):
    return wrapped_model(build_codec(settings(**kwargs)), adapter)


@pytest.mark.parametrize('kwargs, said', [
    (dict(latent_channels=16), r'g_a\.6\.weight of shape \(8, 8, 5, 5\), exp'),
    (dict(type='mmhmc.FactorizedPrior'), r'has .* of another one'),
    (dict(type='mmhmc.JointAutoregressive'), 'lacks entropy_parameters'),
])
def test_codec_of_another_kind_or_size_is_refused(trained, tmp_path, kwargs,
                                                  said):
    path = save(tmp_path / 'a.pth', wrapped_model(trained).state_dict())
    with pytest.raises(
            ValueError, match=rf"config at 'backbone\.codec\.': .*{said}"):
        load_checkpoint(other_model(**kwargs), path)


def test_adapter_of_another_size_is_refused(trained, tmp_path):
    model = wrapped_model(trained, DynamicAdaptation(4))
    path = save(tmp_path / 'a.pth', model.state_dict())
    with pytest.raises(
            ValueError,
            match=r"DynamicAdaptation .* at 'backbone\.adapter\.'"):
        load_checkpoint(other_model(DynamicAdaptation(8)), path)


def test_checkpoint_without_codec_or_adapter_leaves_them(trained, tmp_path):
    host = wrapped_model(trained, DynamicAdaptation(4))
    path = save(
        tmp_path / 'a.pth', {
            key: value
            for key, value in host.state_dict().items()
            if '.codec.' not in key and '.adapter.' not in key
        })
    model = other_model(DynamicAdaptation(8))
    before = {k: v.clone() for k, v in model.state_dict().items()}
    load_checkpoint(model, path)
    for key, value in model.state_dict().items():
        if '.codec.' in key or '.adapter.' in key:
            assert torch.equal(value, before[key]), key
        elif value.ndim > 1:
            assert torch.equal(value, host.state_dict()[key]), key


def test_codec_alone_takes_a_codec_and_nothing_else(trained, tmp_path):
    for place in ('', 'codec.', 'backbone.codec.'):
        path = save(tmp_path / 'a.pth', below(place, trained))
        model = CodecModel(build_codec(settings()))
        load_checkpoint(model, path)
        assert is_equal(trained, model.codec)
    path = save(tmp_path / 'a.pth', dict(weight=torch.zeros(1)))
    with pytest.raises(ValueError, match="nothing of the codec .*'weight'"):
        load_checkpoint(CodecModel(build_codec(settings())), path)


def test_torch_loads_a_part_where_it_is_asked_to(trained):
    codec = build_codec(settings())
    part = {
        key: value
        for key, value in trained.state_dict().items()
        if key.startswith('g_a.')
    }
    result = codec.load_state_dict(part, strict=False)
    assert result.missing_keys and is_equal(trained.g_a, codec.g_a)
    with pytest.raises(RuntimeError, match='Missing key'):
        codec.load_state_dict(part)
