"""Tools that draw a search, and a base, as one PNG for each image."""
import runpy
from pathlib import Path

import pytest
import torch
from conftest import smooth_images, tiny_codec

from mmhmc.datasets import read_image, write_image

TOOLS = Path(__file__).parents[2] / 'tools/analysis_tools'


@pytest.fixture
def run(tmp_path):
    """Run a tool with a small codec and an image of 32 x 48."""
    codec = tiny_codec('MeanScaleHyperprior')
    torch.save(codec.state_dict(), tmp_path / 'weights.pth')
    (tmp_path / 'codec.py').write_text(
        "codec = dict(type='mmhmc.MeanScaleHyperprior', hidden_channels=8, "
        'latent_channels=8)\n')
    write_image(tmp_path / 'a.png', smooth_images(1, 32, 48)[0])

    def run(tool, *args):
        runpy.run_path(str(TOOLS / tool))['main']([
            str(tmp_path / 'codec.py'),
            str(tmp_path / 'a.png'), '--checkpoint',
            str(tmp_path / 'weights.pth'), '--out',
            str(tmp_path / 'out'), *args
        ])

    return run


@pytest.mark.parametrize('tool, wrong, message, right', [
    ('refinement_images.py', [], '`lmbda` cannot be measured',
     ['--lmbda', '0.001']),
    ('base_images.py', ['--layers', '2'], 'factor', ['--layers', '3', '3']),
])
def test_a_png_for_each_image(run, tmp_path, capsys, tool, wrong, message,
                              right):
    steps = ['--steps', '2'] if tool.startswith('refinement') else []
    with pytest.raises(SystemExit, match=message):
        run(tool, *steps, *wrong)
    run(tool, *steps, *right)
    assert 'Written' in capsys.readouterr().out
    # The image alone, then three pairs.
    height, width = read_image(tmp_path / 'out/a.png').shape[-2:]
    assert 4 * 48 / (2 * 32) * 0.8 < width / height < 4 * 48 / (2 * 32) * 1.2
