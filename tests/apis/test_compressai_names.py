"""Weights that CompressAI publishes, wherever a checkpoint is asked for."""
import json

import numpy as np
import pytest
import torch
from conftest import BENCH_CODEC, smooth_images
from mmengine.registry import MODELS, DefaultScope

from mmhmc import cli
from mmhmc.apis import HMCInferencer, load_codec, mix_codec, read_config
from mmhmc.apis.benchmark import read_plan, run_benchmark
from mmhmc.apis.benchmark.fingerprints import file_hash
from mmhmc.apis.training import load_config
from mmhmc.datasets import read_image, write_image
from mmhmc.models import CodecModel
from mmhmc.structures import CodingCondition
from mmhmc.zoo import find_compressai

NAME = 'compressai://mbt2018-mean/mse/1'
HOST = 'mmdet::yolox/yolox_nano_8xb8-300e_coco.py'


@pytest.fixture
def network(compressai_zoo):
    """CompressAI's network, whose weights are served."""
    return compressai_zoo.publish('mbt2018-mean', 'mse', 1)


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / 'photo.png'
    write_image(path, smooth_images(1, 40, 52)[0])
    return path


def has_weights_of(codec, network):
    return torch.equal(codec.g_a[0].weight, network.g_a[0].weight)


@pytest.mark.parametrize('options', [
    ['--codec', NAME],
    ['--codec', '{config}', '--checkpoint', NAME],
])
def test_command_codes_and_decodes(options, network, photo, tmp_path):
    config = tmp_path / 'config.py'
    config.write_text(f'codec = {BENCH_CODEC!r}')
    options = [word.format(config=config) for word in options]
    coded, decoded = tmp_path / 'coded', tmp_path / 'decoded'
    assert cli.main(['encode', str(photo), '-o', str(coded), *options]) == 0
    assert cli.main(['decode', str(coded), '-o', str(decoded), *options]) == 0
    codec = load_codec(NAME)
    x_hat = codec.decompress(codec.compress(read_image(photo)[None]))[0]
    expected = (255 * x_hat.clamp(0, 1)).round()
    assert torch.equal(255 * read_image(decoded / 'photo.png'), expected)


@pytest.mark.parametrize(
    'architecture',
    ['bmshj2018-hyperprior-vbr', 'mbt2018-mean-vbr', 'mbt2018-vbr'])
def test_command_codes_at_every_rate_of_one_file(architecture, compressai_zoo,
                                                 photo, tmp_path):
    compressai_zoo.publish(architecture, 'mse', None, tables=False)
    name = f'compressai://{architecture}/mse'
    for quality in ('1', '3.5', '8'):
        coded, decoded = tmp_path / f'c{quality}', tmp_path / f'd{quality}'
        assert cli.main([
            'encode',
            str(photo), '-o',
            str(coded), '--codec', name, '--quality', quality
        ]) == 0
        assert cli.main(
            ['decode',
             str(coded), '-o',
             str(decoded), '--codec', name]) == 0
        codec = load_codec(name)
        stream, = codec.compress(
            read_image(photo)[None], CodingCondition(quality=float(quality)))
        expected = (255 * codec.decompress([stream])[0]).round()
        assert torch.equal(255 * read_image(decoded / 'photo.png'), expected)
    assert cli.main([
        'encode',
        str(photo), '-o',
        str(tmp_path / 'no'), '--codec', name, '--quality', '9'
    ]) == 1


def test_unknown_name_ends_the_command_with_one_line(photo, tmp_path, capsys):
    status = cli.main([
        'encode',
        str(photo), '-o',
        str(tmp_path / 'coded'), '--codec', 'compressai://mbt2018-mean/mse/0'
    ])
    assert status == 1
    assert 'near it are mbt2018-mean/mse/' in capsys.readouterr().err


def test_inferencer_takes_the_name(network, photo):
    hmc = HMCInferencer(NAME, device='cpu')
    assert has_weights_of(hmc.codec, network)
    image = hmc(str(photo), return_images=True)['images'][0]
    assert image.shape == (40, 52, 3) and image.dtype == np.uint8


def test_inferencer_takes_the_name_as_checkpoint(network):
    cfg = dict(codec=dict(BENCH_CODEC))
    assert has_weights_of(HMCInferencer(cfg, NAME, 'cpu').codec, network)
    cfg['load_from'] = NAME
    assert has_weights_of(HMCInferencer(cfg, device='cpu').codec, network)


def test_codec_goes_in_front_of_a_detector(network):
    pytest.importorskip('mmdet')
    cfg = load_config(HOST, codec=NAME)
    assert cfg.work_dir.endswith('_mbt2018-mean_mse_1')
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg.model)
    model.init_weights()
    assert has_weights_of(model.backbone.codec, network)
    inputs = 255 * smooth_images(1, 64, 64)
    data = model.data_preprocessor(dict(inputs=list(inputs)))
    with torch.no_grad():
        features = model.eval().extract_feat(data['inputs'])
    assert features[0].shape[-2:] == (8, 8)


def test_mixed_config_is_the_same_by_file_and_by_name(network):
    pytest.importorskip('mmdet')
    cfg = read_config(HOST)
    by_name = mix_codec(cfg, NAME)
    assert by_name.model == mix_codec(cfg, find_compressai(NAME).codec).model


def test_name_goes_where_a_stage_would_put_its_result(network):
    """The prefix is that of the stage's own files."""
    codec = MODELS.build(
        dict(
            BENCH_CODEC,
            init_cfg=dict(type='Pretrained', checkpoint=NAME,
                          prefix='codec.')))
    model = CodecModel(codec)
    model.init_weights()
    assert has_weights_of(model.codec, network)


def test_benchmark_has_a_row_of_it(network, bench_cfg, compressai_zoo):
    second = compressai_zoo.publish('mbt2018-mean', 'mse', 2)
    bench_cfg.codecs = dict(
        theirs=dict(
            codec=NAME,
            points=dict(
                one=dict(),
                two=dict(checkpoint='compressai://mbt2018-mean/mse/2'))))
    bench_cfg.anchor = 'theirs'
    plan = read_plan(bench_cfg)
    outcome = run_benchmark(plan)
    assert outcome.failures == []
    lines = (plan.work_dir / 'results.jsonl').read_text().splitlines()
    coded = [r for r in map(json.loads, lines) if r['kind'] == 'coded']
    assert {(r['codec'], r['point'])
            for r in coded} == {('theirs', 'one'), ('theirs', 'two')}
    assert {len(r['decoded_sha256']) for r in coded} == {64}
    assert not has_weights_of(load_codec(NAME), second)
    # What is made of another file gets done again.
    other = find_compressai(f'{NAME}/new-tables').sha256
    assert file_hash(NAME) == other
    assert file_hash(f'{NAME}/new-tables') != other


def test_benchmark_has_a_curve_of_one_file_with_all_rates(
        bench_cfg, compressai_zoo):
    compressai_zoo.publish('mbt2018-mean-vbr', 'mse', None)
    bench_cfg.codecs = dict(
        theirs=dict(
            codec='compressai://mbt2018-mean-vbr/mse',
            points={f'q{q:g}': dict(quality=q)
                    for q in (1, 4.5, 8)}))
    bench_cfg.anchor = 'theirs'
    plan = read_plan(bench_cfg)
    assert run_benchmark(plan).failures == []
    lines = (plan.work_dir / 'results.jsonl').read_text().splitlines()
    rates = {}
    for row in map(json.loads, lines):
        if row['kind'] == 'coded':
            rates.setdefault(row['point'], []).append(row['bytes'])
    assert {
        name: len(sizes)
        for name, sizes in rates.items()
    } == dict.fromkeys(('q1', 'q4.5', 'q8'), 3)
    assert {point.condition.quality for point in plan.points} == {1, 4.5, 8}
