"""The tool that draws what the base of a file shows, and all of it."""
import runpy
from pathlib import Path

import pytest
import torch
from conftest import smooth_images, tiny_codec

from mmhmc.datasets import read_image, write_image

TOOL = Path(__file__).parents[2] / 'tools/analysis_tools/base_images.py'


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
        str(tmp_path / 'weights.pth'), '--out',
        str(tmp_path / 'out')
    ]
    with pytest.raises(SystemExit, match='factor'):
        main([*args, '--layers', '2'])
    main([*args, '--layers', '3', '3'])
    assert 'Written' in capsys.readouterr().out
    # The original, then three numbers of layers with image and bits.
    height, width = read_image(tmp_path / 'out/a.png').shape[-2:]
    assert 4 * 48 / (2 * 32) * 0.8 < width / height < 4 * 48 / (2 * 32) * 1.2
