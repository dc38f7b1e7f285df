"""A real host from its own config, small enough for a test."""
import copy

import pytest
import torch
from conftest import smooth_images, tiny_codec, variable_codec
from mmengine.hub import get_config
from mmengine.registry import DefaultScope
from mmengine.runner import load_checkpoint
from torch import nn

from mmhmc.engine import RateLossHook
from mmhmc.engine.parts import split_parameters

pytest.importorskip('mmdet')

SIZES = [(64, 64), (48, 40)]


def host_config():
    """Mask R-CNN as the host has it, with a tiny backbone."""
    config = get_config('mmdet::_base_/models/mask-rcnn_r50_fpn.py').model
    config.backbone.update(depth=18, base_channels=8, init_cfg=None)
    config.neck.update(in_channels=[8, 16, 32, 64], out_channels=8)
    config.rpn_head.update(in_channels=8, feat_channels=8)
    head = config.roi_head
    head.bbox_roi_extractor.out_channels = 8
    head.mask_roi_extractor.out_channels = 8
    head.bbox_head.update(in_channels=8, fc_out_channels=16, num_classes=3)
    head.mask_head.update(in_channels=8, conv_out_channels=8, num_classes=3)
    config.test_cfg.rcnn.max_per_img = 20
    return config


@pytest.fixture(scope='module')
def bare():
    """The host alone; not to be changed."""
    torch.manual_seed(0)
    return build(host_config())


def build(config):
    from mmdet.registry import MODELS
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(config)
    # Predictions of every class, at random.
    torch.nn.init.normal_(model.roi_head.bbox_head.fc_cls.weight)
    return model


def wrapped(codec=dict(type='mmhmc.IdentityCodec'), **kwargs):
    config = host_config()
    config.backbone = dict(
        type='mmhmc.CodecBackbone',
        codec=codec,
        backbone=config.backbone,
        input_norm=config.data_preprocessor,
        **kwargs)
    return build(config)


def batch():
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks
    from mmengine.structures import InstanceData
    inputs, samples = [], []
    for i, (h, w) in enumerate(SIZES):
        torch.manual_seed(i)
        inputs.append((255 * smooth_images(1, h, w)[0]).byte())
        masks = torch.zeros(2, h, w)
        masks[0, 4:30, 4:30] = masks[1, 10:40, 20:38] = 1
        samples.append(
            DetDataSample(
                metainfo=dict(
                    img_shape=(h, w),
                    ori_shape=(2 * h, 2 * w),
                    scale_factor=(0.5, 0.5)),
                gt_instances=InstanceData(
                    bboxes=torch.tensor([[4., 4, 30, 30], [20, 10, 38, 40]]),
                    labels=torch.tensor([0, 2]),
                    masks=BitmapMasks(masks.byte().numpy(), h, w))))
    return dict(inputs=inputs, data_samples=samples)


def losses_of(model):
    model.train()
    data = model.data_preprocessor(batch(), training=True)
    # The host samples proposals at random.
    torch.manual_seed(7)
    return model(**data, mode='loss')


def predictions_of(model):
    model.eval()
    with torch.no_grad():
        return model.test_step(batch())


def test_identity_codec_gives_the_bare_hosts_losses_and_predictions(bare):
    bare, model = copy.deepcopy(bare), wrapped()
    model.load_state_dict(bare.state_dict())
    RateLossHook().attach(model)
    expected, losses = losses_of(bare), losses_of(model)
    assert len(expected) == 6
    assert losses.keys() - expected.keys() == {
        'loss_rate', 'loss_distortion', 'bpp', 'psnr'
    }
    for name, value in expected.items():
        values = value if isinstance(value, list) else [value]
        got = losses[name] if isinstance(value, list) else [losses[name]]
        assert all(torch.equal(v, g) for v, g in zip(values, got)), name
    for sample, other in zip(predictions_of(bare), predictions_of(model)):
        one, two = sample.pred_instances, other.pred_instances
        assert len(one) > 0
        for name in ('bboxes', 'scores', 'labels', 'masks'):
            assert torch.equal(one[name], two[name]), name


def test_host_checkpoint_loads_as_it_is(bare, tmp_path):
    path = str(tmp_path / 'host.pth')
    torch.save(dict(meta=dict(), state_dict=bare.state_dict()), path)
    model = wrapped(adapter=dict(type='mmhmc.DynamicAdaptation', width=8))
    load_checkpoint(model, path, strict=True)
    state = model.state_dict()
    for key, value in bare.state_dict().items():
        inner = key.replace('backbone.', 'backbone.backbone.', 1)
        assert torch.equal(state.pop(inner), value), key
    assert all(key.startswith('backbone.adapter.') for key in state)


def test_one_joint_step_reaches_codec_and_adapter_and_coding_is_told(bare):
    model = wrapped(
        tiny_codec('MeanScaleHyperprior'),
        adapter=dict(type='mmhmc.DynamicAdaptation', width=8))
    RateLossHook(lmbda_task=0.1).attach(model)
    loss, logs = model.parse_losses(losses_of(model))
    loss.backward()
    assert logs['loss'].isfinite()
    parts = split_parameters(model)
    # What the host freezes itself (frozen_stages) stays frozen.
    for part in ('codec', 'host'):
        silent = [p for p in parts[part] if p.requires_grad and p.grad is None]
        assert silent == []
    assert parts['adapter'][-1].grad.any()
    model.backbone.codec.update_entropy_tables()
    for sample, size in zip(predictions_of(model), SIZES):
        assert sample.coding.coded_size == size
        assert sample.coding.original_size == (2 * size[0], 2 * size[1])
        assert 8 * sample.coding.num_bytes > sample.coding.bits > 0


def test_one_joint_step_learns_every_rate_that_it_drew(bare):
    model = wrapped(
        variable_codec('MeanScaleHyperprior'),
        adapter=dict(type='mmhmc.DynamicAdaptation', width=8, num_qualities=3),
        train_condition=dict(quality=[1, 3]))
    nn.init.normal_(model.backbone.adapter.layers[-1].weight, std=0.01)
    RateLossHook(
        lmbda_distortion=[0.001, 0.002, 0.004], lmbda_task=0.1).attach(model)
    drawn, seed = (), 0
    while set(drawn) != {1, 3}:
        # The two images draw one rate each.
        torch.manual_seed(seed := seed + 1)
        drawn = model.backbone.choose_condition(True, 2).quality
    data = model.data_preprocessor(batch(), training=True)
    torch.manual_seed(seed)
    model.train()
    model.parse_losses(model(**data, mode='loss'))[0].backward()
    tables = {
        key: p.grad
        for key, p in model.named_parameters() if 'gain' in key
    }
    assert len(tables) == 4 + 2
    for key, gradient in tables.items():
        learnt = gradient.abs().sum(1) > 0
        assert learnt.tolist() == [True, False, True], key


def test_attributes_of_the_host_backbone_are_found():
    backbone = wrapped().backbone
    assert backbone.base_channels == 8
    assert backbone.frozen_stages == 1
