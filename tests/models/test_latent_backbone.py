import copy
import re
from pathlib import Path

import pytest
import torch
from conftest import (PREPROCESSOR, MockTaskModel, batch_of, make_runner,
                      smooth_images, tiny_codec, with_val)
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import load_checkpoint
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from mmhmc.bitstream import Bitstream
from mmhmc.codecs import IdentityCodec
from mmhmc.engine import RateLossHook, TrainingStageHook
from mmhmc.engine.parts import split_parameters
from mmhmc.input_norm import InputNorm
from mmhmc.models import (CodecBackbone, CodecModel, CompressedDomainNeck,
                          LatentBackbone)

CONFIGS = Path(__file__).parents[2] / 'configs/compressed_domain'
SIZES = [(64, 64), (48, 40), (33, 64)]


@pytest.fixture(scope='module')
def trained():
    """A codec whose latents cost bits; not to be changed."""
    torch.manual_seed(0)
    return tiny_codec('MeanScaleHyperprior')


def latent_backbone(codec, **test_cfg):
    return LatentBackbone(
        copy.deepcopy(codec), PREPROCESSOR, test_cfg or None).eval()


class Host(MockTaskModel):
    """A host whose head sees the latent through a neck."""

    def __init__(self, codec, **test_cfg):
        super().__init__(latent_backbone(codec, **test_cfg))
        self.neck = CompressedDomainNeck(8, 4, (8, ), num_blocks=0)
        self.backbone.register_forward_hook(
            lambda module, args, features: self.neck(features))


def host_inputs(count=3, height=64, width=64):
    """Images, normalised as the host does."""
    norm = InputNorm.from_preprocessor(PREPROCESSOR)
    return (smooth_images(count, height, width) * 255 - norm.mean) / norm.std


def coded(backbone, inputs, sizes=None):
    """Latent and record of one forward."""
    expected = [] if sizes is None else [(inputs, sizes)]
    with backbone.recording(expected) as records:
        y_hat, = backbone(inputs)
    return y_hat, *records


def decoding_calls(codec):
    """How often an image has been decoded."""
    calls = []
    codec.g_s.register_forward_hook(lambda *args: calls.append(1))
    return calls


def losses_of(model, hook):
    hook.attach(model.train())
    data = model.data_preprocessor(batch_of(*SIZES), training=True)
    return model.parse_losses(model(**data, mode='loss'))


# What the host sees.


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('canvas', [(64, 64), (50, 70), (1, 17), (80, 129)])
def test_latent_has_stride_16_of_the_canvas(trained, canvas, training):
    backbone = latent_backbone(trained).train(training)
    features = backbone(host_inputs(2, *canvas))
    assert isinstance(features, tuple) and features.canvas == canvas
    expected = (2, 8, -(-canvas[0] // 16), -(-canvas[1] // 16))
    assert [one.shape for one in features] == [expected]
    assert backbone.out_channels == 8


def test_host_sees_what_the_decoder_reads(trained):
    backbone = latent_backbone(trained)
    written = []
    write = backbone.codec.write
    backbone.codec.write = \
        lambda *args: written.append(write(*args)) or written[-1]
    y_hat, record = coded(backbone, host_inputs(), SIZES)
    assert y_hat.abs().max() > 1
    for i, (h, w) in enumerate(SIZES):
        data = written[i].to_bytes()
        assert record.num_bytes[i] == len(data)
        h, w = -(-h // 16), -(-w // 16)
        read = trained.read(Bitstream.from_bytes(data))
        assert torch.equal(y_hat[i, :, :h, :w], read[0, :, :h, :w])


def test_bytes_and_bits_are_those_of_a_codec_backbone(trained):
    inputs = host_inputs()
    _, record = coded(latent_backbone(trained), inputs, SIZES)
    other = CodecBackbone(copy.deepcopy(trained), nn.Identity(), PREPROCESSOR)
    with other.eval().recording([(inputs, SIZES)]) as records:
        other(inputs)
    expected, = records
    assert record.num_bytes == expected.num_bytes
    assert torch.equal(record.bits, expected.bits)


def test_in_training_bits_of_padding_do_not_count(trained):
    inputs = host_inputs()
    _, record = coded(latent_backbone(trained).train(), inputs, SIZES)
    _, canvas = coded(latent_backbone(trained).train(), inputs)
    assert record.bits.requires_grad and record.num_bytes == [None] * 3
    assert record.bits[1] < canvas.bits[1]


@pytest.mark.parametrize('training', [True, False])
def test_latent_is_zero_outside_a_image(trained, training):
    backbone = latent_backbone(trained).train(training)
    y_hat, _ = coded(backbone, host_inputs(3, 80, 64), SIZES)
    for one, (h, w) in zip(y_hat, SIZES):
        inside = torch.zeros(5, 4, dtype=torch.bool)
        inside[:-(-h // 16), :-(-w // 16)] = True
        assert not one[:, ~inside].any()
        assert one[:, inside].any(dim=0).all()


@pytest.mark.parametrize('training', [True, False])
def test_result_does_not_depend_on_what_the_padding_holds(trained, training):
    backbone = latent_backbone(trained).train(training)
    inputs = host_inputs()
    other = inputs.clone()
    for i, (h, w) in enumerate(SIZES):
        other[i, :, h:] = 7
        other[i, :, :, w:] = -3
    results = []
    for one in (inputs, other):
        torch.manual_seed(1)
        results.append(coded(backbone, one, SIZES))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1].bits, results[1][1].bits)


def test_real_bits_can_be_left_out(trained):
    inputs = host_inputs()
    with_bytes, _ = coded(latent_backbone(trained), inputs, SIZES)
    without, record = coded(
        latent_backbone(trained, real_bits=False), inputs, SIZES)
    assert record.num_bytes == [None] * 3
    assert torch.equal(with_bytes, without)


def test_latent_is_float32_under_autocast(trained):
    for training in (True, False):
        backbone = latent_backbone(trained).train(training)
        with torch.autocast('cpu', torch.bfloat16):
            y_hat, record = coded(backbone, host_inputs())
        assert y_hat.dtype == record.bits.dtype == torch.float32


# When an image is decoded.


def test_evaluation_decodes_no_image_unless_it_is_asked_for(trained):
    inputs = host_inputs()
    backbone = latent_backbone(trained)
    calls = decoding_calls(backbone.codec)
    y_hat, record = coded(backbone, inputs, SIZES)
    assert calls == [] and record.x_hat is None
    backbone.test_cfg['image'] = True
    same, record = coded(backbone, inputs, SIZES)
    assert len(calls) == 3 and torch.equal(same, y_hat)
    other = CodecBackbone(copy.deepcopy(trained), nn.Identity(), PREPROCESSOR)
    with other.eval().recording([(inputs, SIZES)]) as records:
        other(inputs)
    expected, = records
    assert torch.equal(record.x_hat, expected.x_hat)


def test_training_decodes_a_image_only_for_the_distortion(trained):
    for lmbda, count in ((0., 0), (0.01, 1)):
        model = Host(trained)
        calls = decoding_calls(model.backbone.codec)
        loss, logs = losses_of(model, RateLossHook(lmbda_distortion=lmbda))
        loss.backward()
        assert len(calls) == count
        assert ('loss_distortion' in logs) == ('psnr' in logs) == (count == 1)
        grads = [p.grad for p in model.backbone.codec.g_s.parameters()]
        assert all((g is None) == (count == 0) for g in grads)


def test_distortion_is_that_of_a_codec_backbone(trained):
    inputs = host_inputs()
    backbones = [
        latent_backbone(trained),
        CodecBackbone(copy.deepcopy(trained), nn.Identity(), PREPROCESSOR)
    ]
    images = []
    for backbone in backbones:
        torch.manual_seed(1)
        with backbone.train().recording([(inputs, SIZES)]) as records:
            backbone(inputs)
        backbone.decode_images(records)
        images.append(records[0].x_hat)
    assert torch.equal(*images)


def test_quality_metric_without_a_image_is_an_error(trained, tmp_path):
    metrics = ['BitrateMetric', 'PSNRMetric']
    runner = make_runner(
        Host(trained), tmp_path, [RateLossHook()], **with_val(metrics))
    with pytest.raises(RuntimeError, match='backbone.test_cfg.image=True'):
        runner.val()


def test_metrics_are_told_bits_and_on_request_quality(trained, tmp_path):
    for image, metrics in ((False, ['BitrateMetric']),
                           (True, ['BitrateMetric', 'PSNRMetric'])):
        runner = make_runner(
            Host(trained, image=image), tmp_path, [RateLossHook()],
            **with_val(metrics))
        results = runner.val()
        assert results['rate/bpp'] > 0
        assert ('quality/psnr' in results) == image


# What learns.


def test_heads_teach_the_analysis_transform(trained):
    model = Host(trained)
    loss, _ = losses_of(
        model, RateLossHook(lmbda_rate=0., lmbda_distortion=0., lmbda_task=1.))
    loss.backward()
    for name, part in (('g_a', model.backbone.codec.g_a), ('neck',
                                                           model.neck)):
        assert all(p.grad is not None and p.grad.isfinite().all()
                   for p in part.parameters()), name
    assert any(p.grad.any() for p in model.backbone.codec.g_a.parameters())
    assert split_parameters(model)['adapter'] == []


def test_heads_learn_behind_a_frozen_codec(trained):
    model = Host(trained)
    model.backbone.codec.requires_grad_(False)
    loss, _ = losses_of(model, RateLossHook(lmbda_distortion=0.))
    loss.backward()
    assert all(p.grad is None for p in model.backbone.codec.parameters())
    assert any(p.grad.any() for p in model.neck.parameters())


def test_stage_of_the_host_leaves_the_codec_as_it_is(trained, tmp_path):
    model = Host(trained)
    before = copy.deepcopy(model.state_dict())
    hooks = [
        RateLossHook(lmbda_distortion=0.),
        TrainingStageHook([dict(begin=0, trainable=['host'])])
    ]
    make_runner(model, tmp_path, hooks).train()
    changed = {
        key.split('.')[0]
        for key, value in model.state_dict().items()
        if not torch.equal(value, before[key])
    }
    assert changed == {'neck', 'head'}


def steps_under_ddp(model, lmbda_distortion, **kwargs):
    """Two of them: the second raises where a gradient was missing."""
    RateLossHook(lmbda_distortion=lmbda_distortion).attach(model.train())
    distributed.init_process_group(
        'gloo', store=distributed.HashStore(), rank=0, world_size=1)
    try:
        wrapped = DistributedDataParallel(model, **kwargs)
        data = model.data_preprocessor(batch_of(*SIZES), training=True)
        for _ in range(2):
            loss, _ = model.parse_losses(wrapped(**data, mode='loss'))
            loss.backward()
    finally:
        distributed.destroy_process_group()


@pytest.mark.parametrize('mode', ['frozen', 'joint'])
def test_reducer_of_ddp_finds_every_gradient(trained, mode):
    model = Host(trained)
    if mode == 'frozen':
        model.backbone.codec.requires_grad_(False)
    steps_under_ddp(model, float(mode == 'joint'))


def test_ddp_without_distortion_wants_unused_parameters_found(trained):
    # g_s has nothing to do then: docs of LatentBackbone.
    with pytest.raises(RuntimeError, match='find_unused_parameters=True'):
        steps_under_ddp(Host(trained), 0.)
    steps_under_ddp(Host(trained), 0., find_unused_parameters=True)


def test_codec_alone_brings_its_weights_by_init_cfg(trained, tmp_path):
    path = str(tmp_path / 'codec.pth')
    model = CodecModel(copy.deepcopy(trained))
    torch.save(dict(state_dict=model.state_dict()), path)
    backbone = LatentBackbone(
        dict(
            type='mmhmc.MeanScaleHyperprior',
            hidden_channels=8,
            latent_channels=8,
            init_cfg=dict(type='Pretrained', checkpoint=path,
                          prefix='codec.')), PREPROCESSOR).eval()
    backbone.init_weights()
    inputs = host_inputs()
    assert torch.equal(
        backbone(inputs)[0],
        latent_backbone(trained)(inputs)[0])


def test_checkpoint_of_a_model_loads_strictly(trained, tmp_path):
    model, path = Host(trained), str(tmp_path / 'model.pth')
    torch.save(dict(meta=dict(), state_dict=model.state_dict()), path)
    other = Host(tiny_codec('MeanScaleHyperprior'))
    load_checkpoint(other, path, strict=True)
    assert all(
        torch.equal(value,
                    model.state_dict()[key])
        for key, value in other.state_dict().items())


# What is refused.


def test_codec_without_a_latent_is_refused():
    with pytest.raises(ValueError, match='IdentityCodec has no latent'):
        LatentBackbone(IdentityCodec(), PREPROCESSOR)


def test_parts_of_the_wrong_kind_are_refused(trained):
    with pytest.raises(TypeError, match='`codec` must be an ImageCodec'):
        LatentBackbone(nn.Identity(), PREPROCESSOR)
    with pytest.raises(TypeError, match='`input_norm` must be the data prep'):
        LatentBackbone(trained, None)
    with pytest.raises(ValueError, match=r"unknown keys \['adapter'\]; it m"):
        LatentBackbone(trained, PREPROCESSOR, dict(adapter=False))


def test_tables_are_needed_for_real_bits():
    codec = dict(
        type='mmhmc.ScaleHyperprior', hidden_channels=8, latent_channels=8)
    with pytest.raises(RuntimeError, match='update_entropy_tables'):
        LatentBackbone(codec, PREPROCESSOR).eval()(host_inputs())


def test_stream_that_does_not_decode_to_its_latents_is_an_error(trained):
    backbone = latent_backbone(trained)
    read = backbone.codec.read
    backbone.codec.read = lambda *args: read(*args) + 1
    with pytest.raises(RuntimeError, match='did not decode to the latents'):
        backbone(host_inputs())


@pytest.mark.parametrize('training', [True, False])
def test_image_that_is_not_finite_is_refused(trained, training):
    inputs = host_inputs()
    inputs[1, 0, 3, 3] = torch.nan
    with pytest.raises(ValueError, match='must be finite'):
        latent_backbone(trained).train(training)(inputs)


def test_sliding_windows_are_refused(trained):
    model = Host(trained)
    model.test_cfg = dict(mode='slide')
    with pytest.raises(ValueError, match="`model.test_cfg.mode='whole'`"):
        RateLossHook().attach(model)


# Real hosts, by the configs.


def built(name):
    from mmhmc.apis import read_config
    cfg = read_config(CONFIGS / f'{name}.py')
    pytest.importorskip(cfg.default_scope)
    cfg.model.backbone.codec.update(
        hidden_channels=8, latent_channels=8, init_cfg=None)
    cfg.model.neck.update(in_channels=8, num_blocks=0)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(cfg.model)
    model.backbone.codec = tiny_codec('MeanScaleHyperprior')
    return model


@pytest.mark.parametrize(
    'leaf', CONFIGS.glob('*latent*.py'), ids=lambda p: p.stem)
def test_neck_of_a_config_fits_codec_and_heads(leaf):
    from mmhmc.apis import read_config
    for host in re.findall(r"'(\w+)::", leaf.read_text()):
        pytest.importorskip(host)
    model = read_config(leaf).model
    codec = MODELS.build({**model.backbone.codec, 'init_cfg': None})
    neck = model.get('neck') or model.trunk
    assert codec.latent_channels == neck.in_channels
    for part in model.get('tasks', dict(whole=model)).values():
        head = next(part[name] for name in ('rpn_head', 'decode_head', 'head')
                    if name in part)
        assert head.in_channels == neck.out_channels
        if 'anchor_generator' in head:
            strides = neck.get('strides', (4, 8, 16, 32, 64))
            assert tuple(head.anchor_generator.strides) == tuple(strides)


def labelled(host, height=64, width=96):
    """A batch of two images with the labels that a host needs."""
    from mmengine.structures import InstanceData, PixelData
    inputs = list((255 * smooth_images(2, height, width)).byte())
    meta = dict(
        img_shape=(height, width),
        ori_shape=(height, width),
        scale_factor=(1., 1.),
        batch_input_shape=(height, width))
    if host == 'mmpretrain':
        from mmpretrain.structures import DataSample
        samples = [DataSample(metainfo=meta).set_gt_label(i) for i in range(2)]
    elif host == 'mmseg':
        from mmseg.structures import SegDataSample
        label = torch.randint(0, 6, (1, height, width))
        samples = [
            SegDataSample(metainfo=meta, gt_sem_seg=PixelData(data=label))
            for _ in range(2)
        ]
    else:
        from mmdet.structures import DetDataSample
        from mmdet.structures.mask import BitmapMasks
        masks = torch.zeros(1, height, width)
        masks[0, 4:40, 4:50] = 1
        samples = [
            DetDataSample(
                metainfo=meta,
                gt_instances=InstanceData(
                    bboxes=torch.tensor([[4., 4, 50, 40]]),
                    labels=torch.tensor([i]),
                    masks=BitmapMasks(masks.byte().numpy(), height, width)))
            for i in range(2)
        ]
    return dict(inputs=inputs, data_samples=samples)


@pytest.mark.parametrize('name, host, field', [
    ('mask-rcnn_latent_sample', 'mmdet', 'pred_instances'),
    ('fcn_latent_sample', 'mmseg', 'pred_sem_seg'),
    ('linear_latent_sample', 'mmpretrain', 'pred_score'),
])
def test_host_of_a_config_learns_and_predicts_on_the_latent(name, host, field):
    pytest.importorskip(host)
    model = built(name)
    calls = decoding_calls(model.backbone.codec)
    RateLossHook(lmbda_distortion=0.).attach(model)
    data = model.train().data_preprocessor(labelled(host), training=True)
    loss, logs = model.parse_losses(model(**data, mode='loss'))
    loss.backward()
    assert logs['loss'].isfinite() and logs['loss_rate'] > 0
    assert any(p.grad.any() for p in model.backbone.codec.g_a.parameters())
    silent = [n for n, p in model.neck.named_parameters() if p.grad is None]
    assert silent == []
    model.eval()
    with torch.no_grad():
        samples = model.test_step(labelled(host))
    for sample in samples:
        assert field in sample
        assert sample.coding.num_bytes > 0 and sample.coding.x_hat is None
        assert sample.coding.coded_size == (64, 96)
    assert calls == []
