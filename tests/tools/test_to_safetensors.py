"""tools/model_converters/to_safetensors.py."""
import importlib.util
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from mmhmc.checkpoints import read_checkpoint

pytest.importorskip('safetensors')
TOOL = Path(__file__).parents[2] / 'tools/model_converters/to_safetensors.py'


@pytest.fixture
def convert(monkeypatch):
    spec = importlib.util.spec_from_file_location('to_safetensors', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', ['tool', *map(str, arguments)])
        module.main()

    return run


class Setting:
    """Something that only code can bring back."""


def test_weights_and_versions_are_kept_and_the_rest_is_not(convert, tmp_path):
    state_dict = nn.BatchNorm2d(2).state_dict()
    torch.save(
        dict(state_dict=state_dict, optimizer=dict(lr=1)), tmp_path / 'a.pth')
    convert(tmp_path / 'a.pth', tmp_path / 'a.safetensors')
    checkpoint = read_checkpoint(tmp_path / 'a.safetensors')
    assert set(checkpoint) == {'state_dict', 'meta'}
    assert set(checkpoint['state_dict']) == set(state_dict)
    for key, value in state_dict.items():
        assert checkpoint['state_dict'][key].equal(value)
    assert checkpoint['state_dict']._metadata == state_dict._metadata


def test_bare_weights_that_share_memory_are_converted(convert, tmp_path):
    weight = torch.rand(3, 2)
    torch.save(dict(a=weight, b=weight.T), tmp_path / 'a.pth')
    convert(tmp_path / 'a.pth', tmp_path / 'a.safetensors')
    state_dict = read_checkpoint(tmp_path / 'a.safetensors')['state_dict']
    assert state_dict['a'].equal(weight)
    assert state_dict['b'].equal(weight.T)


def test_code_is_run_only_when_it_is_trusted(convert, tmp_path, monkeypatch):
    content = dict(state_dict=dict(a=torch.ones(1)), meta=Setting())
    torch.save(content, tmp_path / 'a.pth')
    out = tmp_path / 'a.safetensors'
    with pytest.raises(ValueError, match=r'asks for `\S*Setting`.* --trust'):
        convert(tmp_path / 'a.pth', out)
    assert not out.exists()
    convert('--trust', tmp_path / 'a.pth', out)
    assert read_checkpoint(out)['state_dict'] == dict(a=torch.ones(1))


def test_only_tensors_are_converted(convert, tmp_path):
    torch.save(dict(a=torch.ones(1), b='no tensor'), tmp_path / 'a.pth')
    with pytest.raises(ValueError, match="has 'b', which is a str"):
        convert(tmp_path / 'a.pth', tmp_path / 'a.safetensors')


def test_out_has_the_ending_by_which_it_is_read(convert, tmp_path, capsys):
    with pytest.raises(SystemExit):
        convert(tmp_path / 'a.pth', tmp_path / 'b.pth')
    assert 'must end in .safetensors' in capsys.readouterr().err
