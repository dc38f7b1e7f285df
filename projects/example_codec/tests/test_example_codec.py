"""The example codec keeps the contract, and learns inside a detector."""
import copy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmhmc.bitstream import Bitstream
from mmhmc.codecs import build_codec
from mmhmc.engine import RateLossHook

CONFIGS = Path(__file__).parents[1] / 'configs'
SIZES = [(1, 1), (33, 65), (64, 96)]


@pytest.fixture(autouse=True)
def seeded():
    """Every test draws the same numbers, whatever ran before it."""
    torch.manual_seed(0)


def config_of(name):
    """A config, which registers the codec while it is read."""
    return Config.fromfile(CONFIGS / f'{name}.py')


def tiny_codec():
    """Small, in evaluation mode, with tables and latents that cost bits."""
    cfg = config_of('space-to-depth').codec
    codec = build_codec(dict(cfg, hidden_channels=8, latent_channels=8))
    codec.g_a[-1].weight.data.mul_(20)
    codec.eval().update_entropy_tables()
    return codec


def blocks(count, height, width, side=8):
    """Images of plain blocks, RGB in [0, 1], (B, 3, height, width)."""
    rows, columns = height // side + 1, width // side + 1
    x = torch.rand(count, 3, rows, columns)
    for dim in (2, 3):
        x = x.repeat_interleave(side, dim)
    return x[..., :height, :width].contiguous()


@pytest.mark.parametrize('size', SIZES)
def test_bytes_decode_to_what_the_forward_pass_gives(size):
    codec, x = tiny_codec(), blocks(1, *size)
    coded = codec.compress(x)[0].to_bytes()
    x_hat = codec.decompress([Bitstream.from_bytes(coded)])
    height, width = (-(-side // 16) * 16 for side in size)
    edges = torch.nn.ReplicationPad2d(
        (0, width - size[1], 0, height - size[0]))
    with torch.no_grad():
        expected = codec(edges(x)).x_hat[..., :size[0], :size[1]].clamp(0, 1)
    assert torch.equal(x_hat, expected)


def test_real_bits_match_estimated_bits():
    codec, x = tiny_codec(), blocks(1, 256, 256)
    with torch.no_grad():
        bits = -codec(x).likelihoods['y'].log2().sum().item()
    stream, = codec.compress(x)
    assert bits > 4000
    assert abs(8 * len(stream.streams['y']) - bits) <= 0.005 * bits + 8 * 16


def test_tiles_give_what_the_whole_image_gives():
    codec, x = tiny_codec(), blocks(1, 128, 160)
    with torch.no_grad():
        codec.tile_size = None
        whole = codec(x)
        codec.tile_size = 48
        tiled = codec(x)
    torch.testing.assert_close(tiled.x_hat, whole.x_hat)


def tiny_detector():
    """Mask R-CNN of the project's config, as small as it goes."""
    pytest.importorskip('mmdet')
    from mmdet.registry import MODELS
    cfg = config_of('mask-rcnn_space-to-depth_sample').model
    cfg.backbone.codec.update(
        hidden_channels=8, latent_channels=8, init_cfg=None)
    cfg.backbone.adapter.width = 4
    cfg.backbone.backbone.update(base_channels=8, stem_channels=8)
    cfg.neck.update(in_channels=[8, 16, 32, 64])
    with DefaultScope.overwrite_default_scope('mmdet'):
        return MODELS.build(cfg)


def batch():
    """Two images of the detector's data set, one object each."""
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks
    from mmengine.structures import InstanceData
    masks = torch.zeros(1, 64, 64)
    masks[0, 8:40, 8:40] = 1
    samples = [
        DetDataSample(
            metainfo=dict(
                img_shape=(64, 64), ori_shape=(64, 64), scale_factor=(1, 1)),
            gt_instances=InstanceData(
                bboxes=torch.tensor([[8., 8, 40, 40]]),
                labels=torch.tensor([i]),
                masks=BitmapMasks(masks.byte().numpy(), 64, 64)))
        for i in range(2)
    ]
    images = (255 * blocks(2, 64, 64)).byte()
    return dict(inputs=list(images), data_samples=samples)


def test_codec_learns_inside_a_detector_and_its_bytes_serve_it():
    model = tiny_detector().train()
    RateLossHook(lmbda_distortion=0.01, lmbda_task=0.1).attach(model)
    codec = model.backbone.codec
    before = copy.deepcopy(codec.g_a.state_dict())
    optimizer = torch.optim.Adam(
        (p for p in model.parameters() if p.requires_grad), lr=3e-3)
    history = []
    for _ in range(12):
        data = model.data_preprocessor(batch(), training=True)
        loss, logs = model.parse_losses(model(**data, mode='loss'))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(logs)
    assert history[-1]['loss_distortion'] < 0.5 * history[0]['loss_distortion']
    after = codec.g_a.state_dict()
    assert not any(torch.equal(after[key], before[key]) for key in before)

    model.eval()
    codec.update_entropy_tables()
    with torch.no_grad():
        samples = model.test_step(batch())
    for sample in samples:
        assert 'bboxes' in sample.pred_instances
        # The model decoded them from real bytes.
        assert 8 * sample.coding.num_bytes > sample.coding.bits > 0


def test_trained_stage_by_stage_from_the_root_of_the_repository():
    cfg = config_of('mask-rcnn_space-to-depth_sample')
    for stage in cfg.stages:
        stage_cfg = Config.fromfile(CONFIGS / stage['config'])
        assert stage_cfg.model.type == dict(
            detector='MaskRCNN', codec='mmhmc.CodecModel')[stage['name']]
