"""An image for each task, from the command line."""
import importlib.util
from pathlib import Path

import pytest
import torch
from conftest import CODECS, smooth_images, tiny_codec
from PIL import Image

from mmhmc.codecs import build_codec
from mmhmc.datasets import write_image
from mmhmc.visualization.task_images import write_task_images

PATH = (Path(__file__).parents[2] / 'tools/analysis_tools/task_images.py')


@pytest.fixture
def main():
    spec = importlib.util.spec_from_file_location('task_images', PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda *arguments: module.main([str(a) for a in arguments])


@pytest.fixture
def files(tmp_path):
    """Config, weights and image."""
    codec = tiny_codec('MPA', tasks=['seg', 'mse'])
    torch.save(codec.state_dict(), tmp_path / 'mpa.pth')
    settings = dict(type='mmhmc.MPA', tasks=['seg', 'mse'], **CODECS['MPA'])
    (tmp_path / 'mpa.py').write_text(f'codec = {settings!r}')
    write_image(tmp_path / 'a.png', smooth_images(1, 40, 52)[0])
    return tmp_path / 'mpa.py', tmp_path / 'mpa.pth', tmp_path / 'a.png'


def test_every_task_has_a_column(main, files, tmp_path, capsys):
    out = tmp_path / 'tasks.png'
    main(*files, '--out', out, '--quality', 3)
    assert capsys.readouterr().out == f'Written: {out}\n'
    # Original, people and two tasks; images and three stages.
    width, height = Image.open(out).size
    assert width == 12 + 4 * (7 * 52 + 12)
    assert height == 12 + 4 * (7 * 40 + 12 + 26)


def test_codec_without_tasks_and_wrong_quality_are_refused(
        main, files, tmp_path):
    with pytest.raises(SystemExit, match='`quality` must be a number from 1'):
        main(*files, '--out', tmp_path / 'x.png', '--quality', 9)
    with pytest.raises(ValueError, match='JPEG decodes for no tasks'):
        write_task_images(
            build_codec(dict(type='mmhmc.JPEG')), torch.zeros(3, 8, 8),
            tmp_path / 'x.png')
