import json

import pytest
import torch
from conftest import make_runner, tiny_codec, with_val, wrapped_model

from mmhmc.engine import EntropyTableHook, RateLossHook
from mmhmc.evaluation import BitrateMetric
from mmhmc.structures import CodedImage


def sample(bits, num_bytes, coded, original, **fields):
    return dict(coding=CodedImage(bits, num_bytes, coded, original), **fields)


def measured(samples, **kwargs):
    metric = BitrateMetric(**kwargs)
    metric.process(None, samples[:1])
    metric.process(None, samples[1:])
    return metric.evaluate(len(samples))


TWO = [
    sample(800., 120, (10, 20), (20, 40), img_id=7, img_path='a.png'),
    sample(3000., 400, (50, 60), (25, 30)),
]


def test_rates_are_means_of_the_rates_of_the_images():
    assert measured(TWO) == pytest.approx({
        # 960 bits over 800 pixels, 3200 over 750.
        'rate/bpp': (960 / 800 + 3200 / 750) / 2,
        'rate/bpp_estimated': (800 / 800 + 3000 / 750) / 2,
        'rate/bpp_coded': (960 / 200 + 3200 / 3000) / 2,
        'rate/bpp_coded_estimated': (800 / 200 + 3000 / 3000) / 2,
    })


def test_rates_of_streams_are_those_of_all_images():
    one, other = (
        sample(*s, img_id=0) for s in ((800., 120, (10, 20), (20, 40)),
                                       (3000., 400, (50, 60), (25, 30))))
    one['coding'].stream_bytes.update(z=20, y=80, t=10)
    other['coding'].stream_bytes.update(z=30, y=300)
    metrics = measured([one, other])
    assert metrics['rate/bpp_y'] == pytest.approx((640 / 800 + 2400 / 750) / 2)
    assert 'rate/bpp_z' in metrics and 'rate/bpp_t' not in metrics


def test_rates_of_layers_have_the_header_in_the_base():
    samples = [
        sample(800., 120, (10, 20), (20, 40)),
        sample(3000., 400, (50, 60), (25, 30))
    ]
    samples[0]['coding'].stream_bytes.update(z=20, y0=30, y1=50)
    samples[1]['coding'].stream_bytes.update(z=30, y0=100, y1=250)
    metrics = measured(samples)
    layers = [metrics[f'rate/bpp_layer{i}'] for i in (1, 2)]
    assert layers == pytest.approx(
        [8 * (70 / 800 + 150 / 750) / 2, 8 * (50 / 800 + 250 / 750) / 2])
    assert sum(layers) == pytest.approx(metrics['rate/bpp'])
    # Not of images with another number of layers.
    del samples[1]['coding'].stream_bytes['y1']
    assert not any('layer' in name for name in measured(samples))


def test_every_frame_of_a_video_counts():
    video = dict(video_data_samples=TWO)
    assert measured([video, TWO[0]]) == measured([*TWO, TWO[0]])


def test_real_rates_are_left_out_where_a_image_was_not_written():
    metrics = measured([TWO[0], sample(3000., None, (50, 60), (25, 30))])
    assert metrics.keys() == {'rate/bpp_estimated', 'rate/bpp_coded_estimated'}


def test_every_image_is_written_to_a_file(tmp_path):
    path = tmp_path / 'new/rates.json'
    measured(TWO, out_file=str(path))
    first, second = json.loads(path.read_text())
    assert first == dict(
        img_id=7,
        img_path='a.png',
        original_size=[20, 40],
        coded_size=[10, 20],
        view='image',
        num_bytes=120,
        stream_bytes={},
        bits_estimated=800.)
    assert second['img_id'] is None
    assert list(path.parent.iterdir()) == [path]


def test_file_is_whole_or_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / 'rates.json'
    path.write_text('old')

    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr('mmhmc.evaluation.bitrate_metric.json.dumps', stop)
    with pytest.raises(KeyboardInterrupt):
        measured(TWO, out_file=str(path))
    assert path.read_text() == 'old'


def test_file_without_a_folder_is_written_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    measured(TWO, out_file='rates.json')
    assert len(json.loads((tmp_path / 'rates.json').read_text())) == 2


def test_prefix_can_be_chosen():
    assert 'kodak/bpp' in measured(TWO, prefix='kodak')


def test_sample_that_was_not_coded_is_an_error():
    with pytest.raises(KeyError, match="says nothing .* add .*RateLossHook'"):
        BitrateMetric().process(None, [dict(img_id=1)])


def test_rates_of_a_run_are_those_of_the_bitstreams(tmp_path):
    torch.manual_seed(0)
    model = wrapped_model(tiny_codec('ScaleHyperprior'))
    settings = {
        key.replace('val', 'test', 1): value
        for key, value in with_val([]).items()
    }
    path = tmp_path / 'rates.json'
    settings['test_evaluator'] = [
        dict(type='mmhmc.BitrateMetric', out_file=str(path))
    ]
    metrics = make_runner(model, tmp_path / 'run',
                          [RateLossHook(), EntropyTableHook()],
                          **settings).test()
    dataset = settings['test_dataloader']['dataset']
    streams = [
        model.backbone.codec.compress(dataset[i]['inputs'].flip(0)[None] / 255)
        for i in range(2)
    ]
    images = json.loads(path.read_text())
    for (stream, ), image in zip(streams, images):
        # Normalising and back rounds, which may move a symbol by one.
        assert abs(image['num_bytes'] - stream.num_bytes) <= 2
        assert image['coded_size'] == list(stream.size)
    assert metrics['rate/bpp_coded'] == pytest.approx(
        sum(8 * p['num_bytes'] / (p['coded_size'][0] * p['coded_size'][1])
            for p in images) / 2)
    # The files are twice as high and wide.
    assert metrics['rate/bpp'] == pytest.approx(metrics['rate/bpp_coded'] / 4)
