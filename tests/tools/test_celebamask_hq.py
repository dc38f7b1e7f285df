"""tools/dataset_converters/celebamask_hq.py on a download in miniature."""
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmhmc.datasets import CelebAMaskHQ

TOOL = Path(__file__).parents[2] / 'tools/dataset_converters/celebamask_hq.py'
ORIGINAL = (5, 162771, 190000)


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('celebamask_hq', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def download(tmp_path):
    source = tmp_path / 'CelebAMask-HQ'
    (source / 'CelebA-HQ-img').mkdir(parents=True)
    masks = source / 'CelebAMask-HQ-mask-anno/0'
    masks.mkdir(parents=True)
    lines = ['idx orig_idx orig_file']
    for number, original in enumerate(ORIGINAL):
        Image.fromarray(np.full(
            (64, 64, 3), 99,
            np.uint8)).save(source / f'CelebA-HQ-img/{number}.jpg')
        lines.append(f'{number} {original} {original + 1:06d}.jpg')
        for part, columns in (('skin', 24), ('hair', 8)):
            mask = np.zeros((32, 32, 3), np.uint8)
            mask[:, :columns] = 255
            Image.fromarray(mask).save(masks / f'{number:05d}_{part}.png')
    (source / 'CelebA-HQ-to-CelebA-mapping.txt').write_text('\n'.join(lines))
    (source / 'CelebAMask-HQ-attribute-anno.txt'
     ).write_text('3\nMale Young\n0.jpg  -1  1\n1.jpg 1 1\n2.jpg -1 -1\n')
    return source


def convert(tool, monkeypatch, *args):
    monkeypatch.setattr(sys, 'argv', ['tool', *map(str, args)])
    tool.main()


def test_download_becomes_a_data_set(tool, download, tmp_path, monkeypatch,
                                     capsys):
    out = tmp_path / 'out'
    convert(tool, monkeypatch, download, '--out', out, '--size', 16)
    assert capsys.readouterr().out.split() == [
        'train', '1', 'faces', 'val', '1', 'faces', 'test', '1', 'faces'
    ]
    for number, split in enumerate(('train', 'val', 'test')):
        item = CelebAMaskHQ(str(out), split)[0]
        assert Image.open(item['img_path']).size == (16, 16)
        labels = np.asarray(Image.open(item['seg_map_path']))
        assert labels.tolist() == [[13] * 4 + [1] * 8 + [0] * 4] * 16
        assert item['img_path'].endswith(f'{number:05d}.png')
    attributes = json.loads((out / 'attributes.json').read_text())
    assert attributes == dict(
        names=['Male', 'Young'],
        values={
            '00000': [0, 1],
            '00001': [1, 1],
            '00002': [0, 0]
        })


def test_divided_folder_is_only_resized_and_what_is_there_is_kept(
        tool, download, tmp_path, monkeypatch):
    out, small = tmp_path / 'out', tmp_path / 'small'
    convert(tool, monkeypatch, download, '--out', out, '--size', 16)
    convert(tool, monkeypatch, out, '--out', small, '--size', 8)
    image = small / 'val/images/00001.png'
    assert Image.open(image).size == (8, 8)
    labels = np.asarray(Image.open(small / 'val/labels/00001.png'))
    assert labels.tolist() == [[13] * 2 + [1] * 4 + [0] * 2] * 8
    times = {p: p.stat().st_mtime_ns for p in small.rglob('*.png')}
    convert(tool, monkeypatch, out, '--out', small, '--size', 8)
    assert {p: p.stat().st_mtime_ns for p in small.rglob('*.png')} == times
    # Not by name: another image and another size are other files.
    Image.new('RGB', (16, 16), 'red').save(out / 'val/images/00001.png')
    again = out, '--out', small, '--size'
    with pytest.raises(FileExistsError, match='00001.png exists.*--force'):
        convert(tool, monkeypatch, *again, 8)
    assert np.asarray(Image.open(image))[0, 0].tolist() != [255, 0, 0]
    convert(tool, monkeypatch, *again, 8, '--force')
    assert np.asarray(Image.open(image))[0, 0].tolist() == [255, 0, 0]
    with pytest.raises(FileExistsError, match='exists'):
        convert(tool, monkeypatch, *again, 4)
    convert(tool, monkeypatch, *again, 4, '--force')
    assert {Image.open(p).size for p in times} == {(4, 4)}


def test_attributes_of_somebody_else_are_kept(tool, download, tmp_path,
                                              monkeypatch):
    out = tmp_path / 'out'
    convert(tool, monkeypatch, download, '--out', out, '--size', 16)
    convert(tool, monkeypatch, download, '--out', out, '--size', 16)
    path = out / 'attributes.json'
    path.write_text('mine')
    with pytest.raises(FileExistsError, match='attributes.json exists'):
        convert(tool, monkeypatch, download, '--out', out, '--size', 16)
    assert path.read_text() == 'mine'


def test_what_is_missing_is_named(tool, download, tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match='has neither'):
        convert(tool, monkeypatch, tmp_path / 'nothing')
    (download / 'CelebA-HQ-img/1.jpg').unlink()
    with pytest.raises(FileNotFoundError, match=r'1 of 3 faces .*1\.jpg'):
        convert(tool, monkeypatch, download)
