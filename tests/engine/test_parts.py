import copy

import pytest
from conftest import MockTaskModel, tiny_codec, wrapped_model

from mmhmc.adapters import DynamicAdaptation
from mmhmc.codecs import IdentityCodec
from mmhmc.engine.parts import (find_codec_wrapper, find_codec_wrappers,
                                split_parameters)
from mmhmc.models import CodecModel


def test_the_one_codec_is_found():
    model = wrapped_model(IdentityCodec())
    assert find_codec_wrapper(model) is model.backbone
    model = CodecModel(IdentityCodec())
    assert find_codec_wrapper(model) is model


def test_model_without_a_codec_is_refused():
    with pytest.raises(ValueError, match='MockTaskModel holds 0 codecs, exp'):
        find_codec_wrapper(MockTaskModel())


def test_copies_of_a_backbone_belong_to_the_same_parts():
    model = wrapped_model(tiny_codec('ScaleHyperprior'))
    model.teacher = copy.deepcopy(model.backbone)
    assert find_codec_wrappers(model) == [model.backbone, model.teacher]
    with pytest.raises(ValueError, match='holds 2 codecs, expected one'):
        find_codec_wrapper(model)
    codec = split_parameters(model)['codec']
    assert len(codec) == 2 * len(list(model.backbone.codec.parameters()))


def test_every_parameter_belongs_to_one_part():
    model = wrapped_model(tiny_codec('ScaleHyperprior'), DynamicAdaptation(8))
    parts = split_parameters(model)
    assert list(parts) == ['codec', 'adapter', 'host']
    everything = [id(p) for part in parts.values() for p in part]
    assert sorted(everything) == sorted(id(p) for p in model.parameters())
    assert {id(p)
            for p in parts['host']} == {
                id(p)
                for module in (model.backbone.backbone, model.head)
                for p in module.parameters()
            }


def test_codec_alone_has_no_other_part():
    parts = split_parameters(CodecModel(tiny_codec('FactorizedPrior')))
    assert parts['codec'] and not parts['adapter'] and not parts['host']
