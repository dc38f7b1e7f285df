"""One checkpoint at several qualities, in front of real hosts."""
import json
import os
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import CODECS, vary_gains
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from PIL import Image
from torch import nn
from two_processes import run_in_two_processes

from mmhmc import cli
from mmhmc.apis import mix_codec
from mmhmc.apis.quality_curve import run_qualities
from mmhmc.apis.training import TrainingError
from mmhmc.datasets import write_image

CODEC = dict(type='mmhmc.MeanScaleHyperprior', **CODECS['MeanScaleHyperprior'])
VARIABLE = dict(CODEC, variable_rate=True, num_qualities=3)
ADAPTER = dict(type='mmhmc.DynamicAdaptation', width=4, num_qualities=3)
SIZES = ((64, 64), (40, 52), (70, 33))
LOADER = """
default_scope = {host!r}
default_hooks = dict(logger=dict(type='LoggerHook'))
test_cfg = dict(type='TestLoop')
test_dataloader = dict(
    batch_size=1, num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset={dataset})
model = {model}
test_evaluator = {metric}
"""
NORMAL = "mean=[120., 110., 100.], std=[60., 50., 40.]"
HOSTS = dict(
    mmseg=dict(
        dataset="""dict(
        type='BaseSegDataset', data_prefix=dict(
            img_path='images', seg_map_path='labels'),
        img_suffix='.png', metainfo=dict(
            classes=['a', 'b'], palette=[[0, 0, 0], [9, 9, 9]]),
        pipeline=[dict(type='LoadImageFromFile'),
                  dict(type='LoadAnnotations'), dict(type='PackSegInputs')])
        """,
        model=f"""dict(
        type='EncoderDecoder', data_preprocessor=dict(
            type='SegDataPreProcessor', {NORMAL}, bgr_to_rgb=True),
        backbone=dict(type='ResNetV1c', depth=18, stem_channels=4,
                      base_channels=4, out_indices=(0, 1, 2, 3)),
        decode_head=dict(
            type='FCNHead', in_channels=32, in_index=3, channels=4,
            num_convs=1, num_classes=2, norm_cfg=dict(type='BN')),
        test_cfg=dict(mode='whole'))""",
        metric="dict(type='IoUMetric', iou_metrics=['mIoU'])"),
    mmdet=dict(
        dataset="""dict(
        type='CocoDataset', ann_file='ann.json',
        data_prefix=dict(img='images'), test_mode=True,
        metainfo=dict(classes=('a', )), pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=(64, 64), keep_ratio=True),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(type='PackDetInputs')])""",
        model=f"""dict(
        type='RetinaNet', data_preprocessor=dict(
            type='DetDataPreprocessor', {NORMAL}, bgr_to_rgb=True),
        backbone=dict(type='ResNet', depth=18, base_channels=4),
        neck=dict(type='FPN', in_channels=[4, 8, 16, 32], out_channels=8,
                  num_outs=5),
        bbox_head=dict(type='RetinaHead', num_classes=1, in_channels=8,
                       stacked_convs=1, feat_channels=8),
        test_cfg=dict(nms_pre=20, score_thr=0., max_per_img=5,
                      nms=dict(type='nms', iou_threshold=0.5)))""",
        metric="dict(type='CocoMetric', ann_file='ann.json')"))


def host_config(host):
    """A tiny host, its data and its codec; in the present folder."""
    pytest.importorskip(host)
    images, boxes = [], []
    for folder in ('images', 'labels'):
        Path(folder).mkdir(exist_ok=True)
    for i, (h, w) in enumerate(SIZES):
        write_image(f'images/{i}.png', torch.rand(3, h, w))
        labels = np.zeros((h, w), np.uint8)
        labels[:, w // 2:] = 1
        Image.fromarray(labels).save(f'labels/{i}.png')
        images.append(dict(id=i, file_name=f'{i}.png', height=h, width=w))
        boxes.append(
            dict(
                id=i + 1,
                image_id=i,
                category_id=1,
                bbox=[2, 2, 20, 20],
                area=400,
                iscrowd=0))
    Path('ann.json').write_text(
        json.dumps(
            dict(
                images=images,
                annotations=boxes,
                categories=[dict(id=1, name='a')])))
    return Config.fromstring(LOADER.format(host=host, **HOSTS[host]), '.py')


def mixed(host, codec=VARIABLE, adapter=ADAPTER):
    """Config of a host with a codec, and a checkpoint of random weights."""
    cfg = mix_codec(host_config(host), codec, adapter)
    cfg.work_dir = 'work'
    with DefaultScope.overwrite_default_scope(host):
        model = MODELS.build(cfg.model)
    vary_gains(model.backbone.codec)
    nn.init.normal_(model.backbone.codec.g_a[-1].weight, std=0.3)
    if model.backbone.adapter is not None:
        vary_gains(model.backbone.adapter)
        nn.init.normal_(model.backbone.adapter.layers[-1].weight, std=0.1)
    torch.save(dict(state_dict=model.state_dict(), meta={}), 'model.pth')
    return cfg


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize('host', HOSTS)
def test_every_quality_is_tested_with_its_own_bytes(host):
    from mmhmc.apis.testing import run_test
    cfg = mixed(host)
    rows = run_qualities(deepcopy(cfg), 'model.pth', [3, 1, 1.5])
    assert [row['quality'] for row in rows] == [1, 1.5, 3]
    rates = [row['metrics']['rate/bpp'] for row in rows]
    assert len(set(rates)) == 3
    # As if each were tested for itself.
    cfg.model.backbone.condition = dict(quality=1.5)
    alone = run_test(cfg, 'model.pth')
    for name, value in rows[1]['metrics'].items():
        assert value == pytest.approx(alone[name]), name
    names = {path.name for path in Path('work/qualities').iterdir()}
    assert {
        'results.json', 'results.md', 'quality_psnr.png', 'quality_psnr.svg'
    } <= names
    table = Path('work/qualities/results.md').read_text()
    assert '| 1.5 ' in table and 'rate/bpp' in table
    assert f'{rates[1]:.4f}' in table


def test_finished_qualities_are_kept_and_others_join_them(monkeypatch):
    from mmengine.runner import Runner
    cfg, tested = mixed('mmseg'), []
    test = Runner.test
    monkeypatch.setattr(Runner, 'test',
                        lambda self: tested.append(1) or test(self))
    first = run_qualities(deepcopy(cfg), 'model.pth', [1, 3])
    again = run_qualities(deepcopy(cfg), 'model.pth', [1, 2, 3])
    assert len(tested) == 3
    assert [again[0], again[2]] == first
    # Other weights are another curve.
    state = torch.load('model.pth')
    state['state_dict']['backbone.codec.gain'] *= 0.5
    torch.save(state, 'model.pth')
    other = run_qualities(deepcopy(cfg), 'model.pth', [1])
    assert len(tested) == 4 and other != first[:1]


def test_half_a_results_file_begins_anew():
    cfg = mixed('mmseg')
    path = Path('work/qualities/results.json')
    first = run_qualities(deepcopy(cfg), 'model.pth', [1])
    path.write_text(path.read_text()[:-20])
    assert run_qualities(deepcopy(cfg), 'model.pth', [1]) == first


def test_qualities_that_a_codec_lacks_are_refused_at_once():
    cfg = mixed('mmseg')
    with pytest.raises(TrainingError, match='1 to 3, asked for 0.5, 4'):
        run_qualities(cfg, 'model.pth', [0.5, 2, 4])
    cfg = mixed('mmseg', CODEC, None)
    with pytest.raises(TrainingError, match='has one rate, and no qualities'):
        run_qualities(cfg, 'model.pth', [1, 2])


def test_command_writes_the_curve(capsys):
    cfg = mixed('mmseg')
    cfg.dump('mixed.py')
    arguments = ['test', 'mixed.py', 'model.pth', '--work-dir', 'out']
    assert cli.main([*arguments, '--qualities', '3,1.5']) == 0
    content = json.loads(Path('out/qualities/results.json').read_text())
    assert [row['quality'] for row in content['results']] == [1.5, 3]
    capsys.readouterr()
    assert cli.main([*arguments, '--qualities', '0,9']) == 1
    error, = capsys.readouterr().err.splitlines()
    assert 'has the qualities 1 to 3, asked for 0, 9' in error


@pytest.mark.parametrize('wrong, words', [
    (['--qualities', '1;2'], 'such as 1,2,4,8'),
    (['--qualities', '1,2', '--tta'], 'tests without --output'),
])
def test_contradicting_arguments_end_with_status_2(wrong, words, capsys):
    with pytest.raises(SystemExit, match='2'):
        cli.main(['test', 'config.py', 'model.pth', *wrong])
    assert words in capsys.readouterr().err


def _test_in_parallel(rank, folder):
    os.chdir(folder)
    cfg = Config.fromfile('mixed.py')
    return [
        run_qualities(deepcopy(cfg), 'model.pth', qualities, 'pytorch')
        for qualities in ([3, 1], [1, 2, 3])
    ]


def test_two_processes_have_the_same_curve_as_one(tmp_path):
    cfg = mixed('mmseg')
    alone = run_qualities(deepcopy(cfg), 'model.pth', [1, 2, 3])
    cfg.work_dir = 'parallel'
    cfg.dump('mixed.py')
    one, other = run_in_two_processes(_test_in_parallel, tmp_path)
    assert one == other
    assert one[0] == [one[1][0], one[1][2]]
    for row, expected in zip(one[1], alone):
        # The last of three images is tested by both.
        assert row['metrics'].keys() == expected['metrics'].keys()
        assert row['metrics']['rate/bpp'] == pytest.approx(
            expected['metrics']['rate/bpp'], rel=1e-6)
