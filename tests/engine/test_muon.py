"""Muon for matrices, AdamW for the rest."""
import sys

import pytest
import torch
from conftest import tiny_codec, wrapped_model
from mmengine.optim import LinearLR, OptimWrapper, build_optim_wrapper
from mmengine.registry import OPTIMIZERS
from torch import nn

from mmhmc.codecs import MeanScaleHyperprior

pytest.importorskip('pytorch_optimizer')


def build(params, **kwargs):
    return OPTIMIZERS.build(dict(type='mmhmc.Muon', params=params, **kwargs))


def test_matrices_are_muons_and_the_rest_is_adamws():
    codec = MeanScaleHyperprior(16, 24)
    optimizer = build(codec.parameters(), lr=0.1, adamw_lr=0.01)
    by_muon = {
        id(p): group['use_muon']
        for group in optimizer.param_groups
        for p in group['params']
    }
    assert len(by_muon) == len(list(codec.parameters()))
    for name, parameter in codec.named_parameters():
        shape = parameter.shape
        expected = len(shape) > 1 and shape[0] > 3 and shape[1] > 3
        assert by_muon[id(parameter)] == expected, name
    assert {
        g['use_muon']: g['lr']
        for g in optimizer.param_groups
    } == {
        True: 0.1,
        False: 0.01
    }


def test_a_step_on_a_kernel_is_orthogonal():
    conv = nn.Conv2d(16, 16, 3, bias=False)
    before = conv.weight.detach().clone()
    conv(torch.randn(2, 16, 8, 8)).square().sum().backward()
    gradient = torch.linalg.svdvals(conv.weight.grad.flatten(1))
    assert gradient.max() > 4 * gradient.min()
    build(conv.parameters(), lr=1.).step()
    step = (conv.weight.detach() - before).flatten(1)
    strengths = torch.linalg.svdvals(step)
    assert strengths.max() < 2 * strengths.min()


def test_groups_keep_their_proportion():
    groups = [
        dict(params=[nn.Parameter(torch.rand(16, 16))], lr=0.2),
        dict(params=nn.Parameter(torch.rand(3)), lr=0.05)
    ]
    optimizer = build(groups, lr=0.1, adamw_lr=0.01)
    assert [g['lr'] for g in optimizer.param_groups] == [0.2, 0.005]


def test_schedules_change_both_rates():
    codec = MeanScaleHyperprior(16, 24)
    wrapper = OptimWrapper(build(codec.parameters(), lr=0.1, adamw_lr=0.01))
    LinearLR(wrapper, start_factor=0.5, by_epoch=False)
    assert wrapper.get_lr()['lr'] == [0.05, 0.005]
    assert wrapper.get_lr()['base_lr'] == [0.05]


def test_state_goes_on_where_it_was():

    def trained(steps, state=None):
        torch.manual_seed(0)
        layer = nn.Linear(16, 16)
        optimizer = build(layer.parameters())
        if state:
            layer.load_state_dict(state[0])
            optimizer.load_state_dict(state[1])
        for step in steps:
            torch.manual_seed(step)
            optimizer.zero_grad()
            layer(torch.randn(4, 16)).square().sum().backward()
            optimizer.step()
        return layer.state_dict(), optimizer.state_dict()

    whole, _ = trained(range(4))
    resumed, _ = trained(range(2, 4), trained(range(2)))
    assert torch.equal(whole['weight'], resumed['weight'])
    assert torch.equal(whole['bias'], resumed['bias'])


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'pytorch_optimizer', None)
    with pytest.raises(ImportError, match='requirements/training.txt'):
        build([nn.Parameter(torch.rand(16, 16))])


def test_host_and_codec_together_are_refused():
    model = wrapped_model(tiny_codec('ScaleHyperprior'))
    with pytest.raises(ValueError, match='Leave `constructor` out'):
        build_optim_wrapper(
            model,
            dict(
                optimizer=dict(type='mmhmc.Muon', lr=0.1),
                constructor='mmhmc.CodecOptimWrapperConstructor'))
