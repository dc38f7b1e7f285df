"""Images to files and back, with all that is measured on the way."""
from pathlib import Path

import pytest
import torch
from conftest import smooth_images, variable_codec, vary_gains

from mmhmc.adapters import DynamicAdaptation
from mmhmc.apis.benchmark import images, read_plan
from mmhmc.apis.benchmark.images import (ImageCoder, ImageTask, adapt,
                                         load_point, measure)
from mmhmc.apis.codec_loading import CodecSource
from mmhmc.apis.config_files import ConfigSource
from mmhmc.datasets import read_image
from mmhmc.evaluation import PSNRMetric
from mmhmc.functional import to_8_bits
from mmhmc.losses import EfficientNetLoss
from mmhmc.structures import CodingCondition


def task_of(plan, image='a.png', point=0):
    images = plan.datasets['few']
    return ImageTask(plan.points[point], 'key', 'few', image,
                     str(Path(images.root) / image), str(plan.work_dir))


def test_record_tells_of_the_written_image(bench_cfg):
    plan = read_plan(bench_cfg)
    task = task_of(plan, 'sub/c.png')
    record, = ImageCoder(plan)(task)
    assert record['kind'] == 'coded' and record['key'] == 'key'
    assert (record['codec'], record['point']) == ('plain', 'one')
    assert (record['height'], record['width']) == (64, 64)
    codec = load_point(plan.points[0]).codec
    x = read_image(task.path)[None]
    stream, = codec.compress(x)
    assert record['bytes'] == len(stream.to_bytes())
    decoded = read_image(plan.work_dir / record['decoded'])[None]
    assert torch.equal(decoded, to_8_bits(codec.decompress([stream])))
    assert record['psnr'] == pytest.approx(PSNRMetric().measure(x, decoded))


def test_point_may_cut_files_after_their_base(bench_cfg):
    plain = bench_cfg.codecs.plain
    plain.codec.layers = [3]
    plain.points.two.layers = 1
    plan = read_plan(bench_cfg)
    (whole, ), (base, ) = (
        ImageCoder(plan)(task_of(plan, point=point)) for point in (0, 1))
    x = read_image(task_of(plan).path)[None]
    stream, = load_point(plan.points[0]).codec.compress(x)
    assert whole['bytes'] == stream.num_bytes
    assert base['bytes'] == stream.layer_bytes[0]
    assert base['decoded_sha256'] != whole['decoded_sha256']
    plain.points.two.layers = 0
    with pytest.raises(ValueError, match='`layers` must be a positive'):
        read_plan(bench_cfg)


def test_same_bits_fill_the_rows_with_and_without_adapter(bench_cfg):
    bench_cfg.codecs.plain.adapter = dict(
        type='mmhmc.DynamicAdaptation', width=4)
    bench_cfg.codecs.plain.without_adapter = 'bare'
    plan = read_plan(bench_cfg)
    adapted, bare = ImageCoder(plan)(task_of(plan))
    assert (adapted['codec'], bare['codec']) == ('plain', 'bare')
    for name in ('bytes', 'psnr', 'image'):
        assert adapted[name] == bare[name]
    x_bar, x_hat = (
        read_image(plan.work_dir / record['decoded'])[None]
        for record in (adapted, bare))
    loaded = load_point(plan.points[0])
    assert not torch.equal(x_bar, x_hat)
    with torch.no_grad():
        assert torch.equal(x_bar, adapt(loaded, x_hat, None, None))


def test_adapter_of_the_latent_sees_what_was_read(bench_cfg, bench_home,
                                                  tmp_path):
    state = torch.load(bench_home / 'weights.pth')['state_dict']
    state = {k: v for k, v in state.items() if '.adapter.' not in k}
    settings = dict(width=4, placement='latent', in_channels=8)
    # Fresh, it changes nothing.
    adapter = DynamicAdaptation(**settings)
    state.update({
        f'backbone.adapter.{k}': v
        for k, v in adapter.state_dict().items()
    })
    torch.save(dict(state_dict=state), tmp_path / 'latent.pth')
    plain = bench_cfg.codecs.plain
    plain.adapter = dict(type='mmhmc.DynamicAdaptation', **settings)
    plain.without_adapter = 'bare'
    plain.points.one.checkpoint = str(tmp_path / 'latent.pth')
    plan = read_plan(bench_cfg)
    x_bar, x_hat = (
        read_image(plan.work_dir / record['decoded'])
        for record in ImageCoder(plan)(task_of(plan)))
    assert torch.equal(x_bar, x_hat)


def test_image_that_cannot_be_read_fails_alone(bench_cfg, tmp_path):
    plan = read_plan(bench_cfg)
    task = task_of(plan)
    bad = tmp_path / 'bad.png'
    bad.write_bytes(b'no image')
    broken = ImageTask(task.point, 'key', 'few', 'bad.png', str(bad),
                       task.folder)
    coder = ImageCoder(plan)
    record, = coder(broken)
    assert record['kind'] == 'failure' and record['image'] == 'bad.png'
    assert 'is no image' in record['error'] and '\n' not in record['error']
    assert coder(task)[0]['kind'] == 'coded'


def test_codec_that_cannot_be_loaded_fails_without_a_image(bench_cfg):
    bench_cfg.codecs.plain.points.one.checkpoint = 'none.pth'
    plan = read_plan(bench_cfg)
    coder = ImageCoder(plan)
    records = [coder(task_of(plan, name))[0] for name in ('a.png', 'b.png')]
    assert records[0] == records[1] and 'image' not in records[0]
    assert 'none.pth' in records[0]['error']


def test_adapter_without_weights_is_refused(bench_cfg, bench_home, tmp_path):
    state = torch.load(bench_home / 'weights.pth')['state_dict']
    torch.save({
        k: v
        for k, v in state.items() if '.codec.' in k
    }, tmp_path / 'bare.pth')
    plain = bench_cfg.codecs.plain
    plain.adapter = dict(type='mmhmc.DynamicAdaptation', width=4)
    plain.points.one.checkpoint = str(tmp_path / 'bare.pth')
    with pytest.raises(ValueError, match='holds no weights of an adapter'):
        load_point(read_plan(bench_cfg).points[0])


def test_adapter_whose_codec_has_a_file_of_its_own(bench_cfg, bench_home,
                                                   monkeypatch):
    """A model of the zoo may hold an adapter alone, and name the codec's."""
    weights = bench_home / 'weights.pth'
    plain = bench_cfg.codecs.plain
    plain.adapter = dict(type='mmhmc.DynamicAdaptation', width=4)
    expected = load_point(read_plan(bench_cfg).points[0])
    del plain.points.one.checkpoint
    plan = read_plan(bench_cfg)
    with pytest.raises(ValueError, match='An adapter needs'):
        images._load_adapter(expected.adapter, None)
    monkeypatch.setattr(CodecSource, 'load', lambda self: expected.codec)
    monkeypatch.setattr(
        images, 'locate',
        lambda config: ConfigSource(config, 'name', {}, str(weights)))
    found = load_point(plan.points[0])
    for key, value in expected.adapter.state_dict().items():
        assert torch.equal(found.adapter.state_dict()[key], value)


def test_small_image_has_no_ms_ssim():
    x = torch.rand(1, 3, 32, 32)
    values, errors = measure(('psnr', 'ms_ssim'), x, x)
    assert values == dict(psnr=pytest.approx(100)) and errors == {}


@pytest.mark.parametrize('placement', ['image', 'latent'])
def test_adapter_and_codec_of_several_rates_are_told_which(placement):
    codec = variable_codec('MeanScaleHyperprior')
    adapter = vary_gains(
        DynamicAdaptation(
            4, placement, 3 if placement == 'image' else 8, num_qualities=3))
    torch.nn.init.normal_(adapter.layers[-1].weight, std=0.1)
    condition, x = CodingCondition(quality=1.5), smooth_images(1, 64, 64)
    with torch.no_grad():
        output = codec(x, condition)
        x_hat, expected = output.x_hat, None
        if placement == 'image':
            expected = adapter(x_hat, quality=1.5)
        else:
            expected = codec.decode_latents(
                adapter(output.y_hat, quality=1.5), condition)
        seen = adapt((codec, adapter), x_hat, output.y_hat, condition)
        assert torch.equal(seen, to_8_bits(expected))


def test_feature_distance_is_that_of_a_network_that_knows_imagenet(lite0):
    images._feature_distance.cache_clear()
    x = smooth_images(1, 64, 96)
    values, errors = measure(('feature_distance', ), x, x.flip(3))
    assert not errors
    expected = EfficientNetLoss()(x, x.flip(3)).item()
    assert values == {'feature_distance': pytest.approx(expected)}
