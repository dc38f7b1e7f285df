"""What the layers of a file show, from the command line."""
import importlib.util
from pathlib import Path

import pytest
import torch
from conftest import CODECS, smooth_images
from mmengine.registry import MODELS
from PIL import Image

from mmhmc.apis.training import load_config
from mmhmc.datasets import write_image

pytest.importorskip('mmseg')
PATH = Path(__file__).parents[2] / 'tools/analysis_tools/layer_images.py'
TEXT = '''
custom_imports = dict(imports=['mmseg.models', 'mmhmc.models'])
default_scope = 'mmseg'
_norm = dict(mean=[120.] * 3, std=[60.] * 3, bgr_to_rgb=True)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(type='SegDataPreProcessor', **_norm),
    backbone={backbone},
    neck=dict(type='mmhmc.CompressedDomainNeck', in_channels=12,
              out_channels=8, strides=(4, ), num_blocks=1),
    decode_head=dict(type='FCNHead', in_channels=8, in_index=0, channels=8,
                     num_convs=1, concat_input=False, num_classes=3,
                     norm_cfg=None, align_corners=False,
                     loss_decode=dict(type='CrossEntropyLoss')),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
test_dataloader = dict(dataset=dict(
    type='BaseSegDataset',
    metainfo=dict(classes=['a', 'b', 'c'],
                  palette=[(255, 0, 0), (0, 255, 0), (0, 0, 255)]),
    pipeline=[dict(type='LoadImageFromFile'), dict(type='PackSegInputs')]))
test_pipeline = test_dataloader['dataset']['pipeline']
'''


@pytest.fixture(scope='module')
def main():
    spec = importlib.util.spec_from_file_location('layer_images', PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda *arguments: module.main([str(a) for a in arguments])


def write_model(folder, name, backbone):
    """A config and random weights of a model."""
    config, weights = folder / f'{name}.py', folder / f'{name}.pth'
    config.write_text(TEXT.format(backbone=repr(backbone)))
    cfg = load_config(str(config))
    torch.manual_seed(0)
    model = MODELS.build(dict(cfg.model, _scope_='mmseg'))
    meta = dict(cfg.test_dataloader.dataset.metainfo)
    torch.save(
        dict(state_dict=model.state_dict(), meta=dict(dataset_meta=meta)),
        weights)
    return config, weights


@pytest.fixture(scope='module')
def latents(tmp_path_factory):
    folder = tmp_path_factory.mktemp('latents')
    codec = dict(type='mmhmc.LayeredGenerative', **CODECS['LayeredGenerative'])
    norm = dict(mean=[120.] * 3, std=[60.] * 3, bgr_to_rgb=True)
    return write_model(
        folder, 'latents',
        dict(type='mmhmc.LatentBackbone', codec=codec, input_norm=norm))


@pytest.fixture(scope='module')
def pixels(tmp_path_factory):
    return write_model(
        tmp_path_factory.mktemp('pixels'), 'pixels',
        dict(type='mmhmc.ImageStem', widths=(4, 4, 4, 12)))


def test_a_image_has_a_row_and_each_layer_a_column(main, latents, pixels,
                                                   tmp_path, capsys):
    images = []
    for number, x in enumerate(smooth_images(2, 64, 64)):
        images.append(tmp_path / f'{number}.png')
        write_image(images[-1], x)
    out = tmp_path / 'layers.png'
    main(*latents, *images, '--out', out, '--reference', *pixels)
    assert capsys.readouterr().out.endswith(f'Written: {out}\n')
    width, height = Image.open(out).size
    assert width == 12 + 5 * (320 + 12)
    assert height == 12 + 2 * (320 + 12 + 26)


def test_what_has_no_layers_is_refused(main, tmp_path):
    name = tmp_path / 'a.png'
    write_image(name, smooth_images(1, 64, 64)[0])
    other = dict(
        type='mmhmc.MeanScaleHyperprior', **CODECS['MeanScaleHyperprior'])
    norm = dict(mean=[120.] * 3, std=[60.] * 3, bgr_to_rgb=True)
    model = write_model(
        tmp_path, 'plain',
        dict(type='mmhmc.LatentBackbone', codec=other, input_norm=norm))
    with pytest.raises(SystemExit, match='MeanScaleHyperprior has no layers'):
        main(*model, name, '--out', tmp_path / 'x.png')
