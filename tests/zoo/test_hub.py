"""Weights in repositories of a hub; its library is played by a fake."""
import sys
from types import SimpleNamespace

import pytest

from mmhmc.checkpoints import read_checkpoint
from mmhmc.zoo import fetch_weights
from mmhmc.zoo.hub import fetch_hub


@pytest.fixture
def hub(monkeypatch, zoo):
    """The library; ``asked`` is what it was asked for."""
    hub = SimpleNamespace(asked=[], file=zoo.served / 'tiny.safetensors')

    def hf_hub_download(repo_id, filename, revision=None):
        hub.asked.append((repo_id, filename, revision))
        if not hub.file.exists():
            raise OSError('404 Client Error.\n\nEntry not found\n')
        return str(hub.file)

    module = SimpleNamespace(hf_hub_download=hf_hub_download)
    monkeypatch.setitem(sys.modules, 'huggingface_hub', module)
    return hub


def test_checkpoint_and_zoo_may_live_on_a_hub(hub):
    assert read_checkpoint('hf://me/zoo/a/b.safetensors')['state_dict']
    assert fetch_weights('tiny', 'hf://me/zoo@v1') == hub.file
    assert hub.asked == [('me/zoo', 'a/b.safetensors', None),
                         ('me/zoo', 'tiny.safetensors', 'v1')]


def test_other_weights_of_a_hub_are_refused(hub):
    hub.file.write_bytes(b'other')
    with pytest.raises(ValueError, match='are not the weights of tiny'):
        fetch_weights('tiny', 'hf://me/zoo')


def test_file_that_cannot_be_had_is_one_line(hub):
    hub.file.unlink()
    with pytest.raises(
            OSError, match='^hf://me/zoo/a cannot be had: 404 C.*'
            'Error.$'):
        fetch_hub('hf://me/zoo/a')


@pytest.mark.parametrize('address', ['hf://', 'hf://me', 'hf://me/zoo'])
def test_address_without_a_file_is_refused(hub, address):
    with pytest.raises(ValueError, match='expected hf://OWNER/REPO/FILE'):
        read_checkpoint(address)


def test_missing_library_is_told_with_its_cure(monkeypatch):
    monkeypatch.setitem(sys.modules, 'huggingface_hub', None)
    with pytest.raises(ModuleNotFoundError, match=r'mmhmc\[hub\]'):
        fetch_hub('hf://me/zoo/a')
