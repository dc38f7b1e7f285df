from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

from mmhmc.apis.comparison import _true_instances, format_table

CONFIG = (
    Path(__file__).parents[2] / 'configs/hmc/mask-rcnn_dynadapt_sample.py')


def test_table_has_a_row_per_result_and_a_dash_for_what_is_not_there():
    table = format_table({
        'with adaptation': {
            'coco/bbox_mAP_50': 0.5,
            'rate/bpp': 0.25
        },
        'uncompressed': {
            'coco/bbox_mAP_50': 0.75
        }
    })
    lines = table.splitlines()
    assert lines[0] == '| | box AP50 | bpp real |'
    assert lines[2:] == [
        '| with adaptation | 0.5 | 0.25 |', '| uncompressed | 0.75 | - |'
    ]


@pytest.fixture
def small(tmp_path):
    """The sample job in miniature: two val images, coded at half size."""
    pytest.importorskip('skimage')
    pytest.importorskip('mmdet')
    from mmhmc.datasets import make_sample_instances
    root = str(make_sample_instances(tmp_path / 'data', 1, 2))
    cfg = Config.fromfile(CONFIG)
    cfg.model.backbone.backbone.base_channels = 8
    cfg.model.backbone.backbone.stem_channels = 8
    cfg.model.neck.in_channels = [8, 16, 32, 64]
    cfg.model.backbone.codec.update(hidden_channels=8, latent_channels=8)
    cfg.model.backbone.adapter.width = 4
    cfg.test_dataloader.dataset.data_root = root
    cfg.test_evaluator[0].ann_file = f'{root}/annotations/instances_val.json'
    # Half size, and annotations loaded after the resize as COCO's are.
    load, resize, annotations, pack = cfg.test_dataloader.dataset.pipeline
    assert resize.type == 'Resize' and annotations.type == 'LoadAnnotations'
    resize.scale = (128, 128)
    return cfg


def test_adaptation_costs_no_bits_and_everything_is_drawn(small, tmp_path):
    from mmdet.registry import MODELS
    from mmengine.registry import DefaultScope

    from mmhmc.apis.comparison import compare_adaptation
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(small.model)
    torch.nn.init.normal_(model.backbone.adapter.layers[-1].weight, std=0.01)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'weights.pth')
    results = compare_adaptation(small, str(tmp_path / 'weights.pth'),
                                 tmp_path / 'out', 2)
    assert list(results) == [
        'with adaptation', 'without adaptation', 'uncompressed'
    ]
    adapted, plain, bare = results.values()
    assert adapted['rate/bpp'] == plain['rate/bpp'] > 0
    assert adapted['quality/psnr'] == plain['quality/psnr'] < 100
    assert 'rate/bpp' not in bare and 'coco/bbox_mAP' in bare
    panel = Image.open(tmp_path / 'out/comparison.png')
    assert panel.width > 7 * 128 and panel.height > 2 * 128
    assert (tmp_path / 'out/rate_with.json').exists()


@pytest.mark.parametrize('loaded_at', [(40, 80), (20, 40)])
def test_annotations_are_brought_to_the_coded_size(loaded_at):
    structures = pytest.importorskip('mmdet.structures.mask')
    from mmengine.structures import InstanceData
    masks = np.zeros((1, *loaded_at), np.uint8)
    masks[0, :loaded_at[0] // 2, :loaded_at[1] // 4] = 1
    box = [0, 0, loaded_at[1] / 4, loaded_at[0] / 2]
    truth = _true_instances(
        InstanceData(
            bboxes=torch.tensor([box]),
            labels=torch.tensor([0]),
            masks=structures.BitmapMasks(masks, *loaded_at)), (20, 40))
    assert truth.boxes.tolist() == [[0, 0, 10, 10]]
    assert truth.masks.shape == (1, 20, 40)
    assert truth.masks[0, :10, :10].all() and truth.masks.sum() == 100
