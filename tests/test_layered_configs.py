"""The configs of layered coding train, in miniature."""
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import CODECS, tiny_codec
from PIL import Image

from mmhmc.apis.training import build_runner, load_config

ROOT = Path(__file__).parents[1] / 'configs/layered'
#: Of each analysis config the metric that tells how good it is.
METRICS = dict(
    layered_parsing_latent='mFscore',
    layered_parsing_joint='mIoU',
    layered_parsing_decoded='mIoU',
    layered_parsing_rgb='mIoU',
    layered_parts_latent='attributes/accuracy',
    layered_parts_rgb='attributes/accuracy',
    layered_several_latent='points/nme',
    layered_several_joint='attributes/accuracy',
    layered_several_rgb='mIoU',
    layered_points_latent='points/nme',
    layered_points_rgb='points/nme',
    **{
        'layered-small_parsing_latent': 'mFscore',
        'layered-small_parsing_joint': 'mIoU',
        'layered-small_parsing_rgb': 'mIoU'
    })


@pytest.fixture(scope='module')
def faces(tmp_path_factory):
    """Two faces of 64x64 to train on, two to test on."""
    root = tmp_path_factory.mktemp('faces')
    generator = np.random.default_rng(0)
    labels = np.ones((64, 64), np.uint8)
    for value, top, left in ((4, 8, 8), (5, 8, 40), (2, 20, 28), (11, 40, 20),
                             (14, 0, 0)):
        labels[top:top + 6, left:left + 6] = value
    for split in ('train', 'val'):
        for kind in ('images', 'labels'):
            (root / split / kind).mkdir(parents=True)
        for number in range(2):
            pixels = generator.integers(0, 256, (64, 64, 3), np.uint8)
            Image.fromarray(pixels).save(root / split / f'images/{number}.png')
            Image.fromarray(labels).save(root / split / f'labels/{number}.png')
    return root


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    torch.manual_seed(0)
    state = tiny_codec('LayeredGenerative').state_dict()
    path = tmp_path_factory.mktemp('codec') / 'codec.pth'
    torch.save(
        dict(state_dict={
            f'codec.{k}': v
            for k, v in state.items()
        }), path)
    return path


def small(name, faces, work_dir):
    """A config with small data."""
    pytest.importorskip('mmpretrain')
    pytest.importorskip('mmseg')
    cfg = load_config(str(ROOT / f'{name}.py'), work_dir=str(work_dir))
    for key in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = cfg.get(key)
        if loader is not None:
            loader.update(num_workers=0, batch_size=2)
            loader.pop('persistent_workers', None)
            root = loader.dataset.data_root.replace('data/celebamask_hq',
                                                    str(faces))
            loader.dataset.data_root = root
    cfg.log_level = 'ERROR'
    return cfg


def train(cfg):
    runner = build_runner(cfg)
    runner.train()
    return runner


@pytest.mark.parametrize('name', METRICS)
def test_analysis_trains_and_is_tested(name, faces, checkpoint, tmp_path):
    cfg = small(name, faces, tmp_path)
    cfg.train_cfg.update(max_epochs=1, val_interval=1)
    cfg.param_scheduler = []
    backbone = cfg.model.backbone
    if 'codec' in backbone:
        backbone.codec.update(CODECS['LayeredGenerative'])
        backbone.codec.init_cfg.checkpoint = str(checkpoint)
        channels = 12
    else:
        channels = backbone.widths[-1]
    if 'backbone' in backbone:
        channels = backbone.backbone.widths[-1]
    trunk = cfg.model.get('neck') or cfg.model.trunk
    trunk.update(in_channels=channels, out_channels=8, num_blocks=1)
    for task in cfg.model.get('tasks', dict(only=cfg.model)).values():
        head = task.get('decode_head') or task.head
        head.in_channels = 8
    if 'size' in cfg.model.data_preprocessor:
        cfg.model.data_preprocessor.size = (64, 64)
    if cfg.get('objective', {}).get('perceptual'):
        cfg.objective.perceptual = dict(type='mmhmc.FeatureLoss', widths=(4, ))
    runner = train(cfg)
    metrics = runner.message_hub.log_scalars
    seen = {key: value.current() for key, value in metrics.items()}
    assert np.isfinite(seen['train/loss'])
    found = [v for k, v in seen.items() if k.endswith(METRICS[name])]
    assert len(found) == 1 and np.isfinite(found[0])
    coded = 'codec' in backbone
    assert any(k.endswith('rate/bpp') for k in seen) == coded
    if coded:
        state = torch.load(checkpoint)['state_dict']
        now = runner.model.backbone.codec.state_dict()
        moved = not torch.equal(now['g_a.0.weight'],
                                state['codec.g_a.0.weight'])
        assert moved == ('joint' in name)


@pytest.mark.parametrize('name', ['layered_codec', 'layered-small_gan'])
def test_codec_trains_against_its_discriminator(name, faces, tmp_path):
    cfg = small(name, faces, tmp_path)
    cfg.train_cfg.max_iters = 4
    cfg.model.codec.update(CODECS['LayeredGenerative'])
    cfg.model.codec.pop('init_cfg', None)
    cfg.model.perceptual = dict(type='mmhmc.FeatureLoss', widths=(4, ))
    cfg.test_evaluator = [
        one for one in cfg.test_evaluator if one.type != 'mmhmc.LPIPSMetric'
    ]
    cfg.model.discriminator.hidden_channels = (4, 4)
    cfg.model.adversarial_begin = 1
    cfg.default_hooks.checkpoint.interval = 4
    runner = train(cfg)
    seen = runner.message_hub.log_scalars
    for name in ('loss_rate', 'loss_l1', 'loss_perceptual', 'loss_matching',
                 'loss_adversarial', 'loss_discriminator', 'bpp_base'):
        assert np.isfinite(seen[f'train/{name}'].current()), name
    metrics = runner.test()
    assert {'rate/bpp', 'quality/psnr', 'quality/ssim'} <= set(metrics)
    assert (tmp_path / 'iter_4.pth').is_file()
