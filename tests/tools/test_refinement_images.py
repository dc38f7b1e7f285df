"""The tool that draws what a search has changed."""
import runpy
from pathlib import Path

import pytest
import torch
from conftest import smooth_images, tiny_codec

from mmhmc.datasets import read_image, write_image

TOOL = Path(__file__).parents[2] / 'tools/analysis_tools/refinement_images.py'


def test_a_png_for_each_image(tmp_path, capsys):
    main = runpy.run_path(str(TOOL))['main']
    codec = tiny_codec('MeanScaleHyperprior')
    torch.save(codec.state_dict(), tmp_path / 'weights.pth')
    (tmp_path / 'codec.py').write_text(
        "codec = dict(type='mmhmc.MeanScaleHyperprior', hidden_channels=8, "
        'latent_channels=8)\n')
    write_image(tmp_path / 'a.png', smooth_images(1, 32, 48)[0])
    args = [
        str(tmp_path / 'codec.py'),
        str(tmp_path / 'a.png'), '--checkpoint',
        str(tmp_path / 'weights.pth'), '--steps', '2', '--out',
        str(tmp_path / 'out')
    ]
    # What has learnt nothing has no lmbda of its own.
    with pytest.raises(SystemExit, match='`lmbda` cannot be measured'):
        main(args)
    main([*args, '--lmbda', '0.001'])
    assert 'Written' in capsys.readouterr().out
    # The image alone, then three pairs of before and after.
    height, width = read_image(tmp_path / 'out/a.png').shape[-2:]
    assert 4 * 48 / (2 * 32) * 0.8 < width / height < 4 * 48 / (2 * 32) * 1.2
