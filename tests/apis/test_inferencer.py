"""Images in; bitstreams, images and predictions out; on three hosts."""
import json

import numpy as np
import pytest
import torch
from conftest import BENCH_CODEC, smooth_images, tiny_codec
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from mmhmc.apis import HMCInferencer, load_codec, load_config, read_config
from mmhmc.apis.inference_inputs import to_bgr
from mmhmc.apis.predictions import plain_prediction
from mmhmc.bitstream import Bitstream, BitstreamError
from mmhmc.datasets import read_image, write_image
from mmhmc.refinement import LatentRefinement

NORM = dict(mean=[120., 110., 100.], std=[60., 50., 40.])
RESIZED = (48, 72)


def classifier():
    return dict(
        default_scope='mmpretrain',
        model=dict(
            type='ImageClassifier',
            data_preprocessor=dict(
                type='ClsDataPreprocessor', **NORM, to_rgb=True),
            backbone=dict(
                type='ResNet', depth=18, stem_channels=4, base_channels=4),
            neck=dict(type='GlobalAveragePooling'),
            head=dict(type='LinearClsHead', num_classes=3, in_channels=32)),
        test_dataloader=dict(
            dataset=dict(
                type='CustomDataset',
                metainfo=dict(classes=['one', 'two', 'three']),
                pipeline=[
                    dict(type='LoadImageFromFile'),
                    dict(type='Resize', scale=RESIZED[::-1]),
                    dict(type='PackInputs')
                ])))


def segmentor():
    norm = dict(type='BN')
    return dict(
        default_scope='mmseg',
        model=dict(
            type='EncoderDecoder',
            data_preprocessor=dict(
                type='SegDataPreProcessor', **NORM, bgr_to_rgb=True),
            backbone=dict(
                type='ResNetV1c',
                depth=18,
                stem_channels=8,
                base_channels=4,
                norm_cfg=norm),
            decode_head=dict(
                type='FCNHead',
                in_channels=32,
                channels=4,
                num_convs=1,
                num_classes=3,
                norm_cfg=norm),
            test_cfg=dict(mode='whole')),
        test_dataloader=dict(
            dataset=dict(
                type='BaseSegDataset',
                metainfo=dict(classes=['one', 'two', 'three']),
                pipeline=[
                    dict(type='LoadImageFromFile'),
                    dict(type='Resize', scale=RESIZED[::-1], keep_ratio=False),
                    dict(type='LoadAnnotations'),
                    dict(type='PackSegInputs')
                ])))


def detector():
    cfg = read_config('mmdet::yolox/yolox_nano_8xb8-300e_coco.py')
    cfg.model.backbone.update(widen_factor=0.125)
    cfg.model.neck.update(
        in_channels=[32, 64, 128], out_channels=16, num_csp_blocks=1)
    cfg.model.bbox_head.update(
        in_channels=16, feat_channels=16, num_classes=3, stacked_convs=1)
    cfg.model.test_cfg.score_thr = 0.
    cfg.test_dataloader.dataset.metainfo = dict(
        classes=('one', 'two', 'three'))
    for step in cfg.test_dataloader.dataset.pipeline:
        if step['type'] == 'Resize':
            step['scale'] = RESIZED[::-1]
    return {
        key: cfg[key]
        for key in ('default_scope', 'model', 'test_dataloader')
    }


HOSTS = dict(mmdet=detector, mmpretrain=classifier, mmseg=segmentor)
every_host = pytest.mark.parametrize('host', HOSTS)
PROTOCOLS = ('before the pipeline', 'in the model')
everywhere = pytest.mark.parametrize('protocol', PROTOCOLS)


def with_codec(cfg, adapter=True):
    model = cfg['model']
    model['backbone'] = dict(
        type='mmhmc.CodecBackbone',
        codec=dict(BENCH_CODEC),
        backbone=model['backbone'],
        input_norm=model['data_preprocessor'])
    if adapter:
        model['backbone']['adapter'] = dict(
            type='mmhmc.DynamicAdaptation', width=4)
    return cfg


def on_latents(cfg):
    model = cfg['model']
    model['backbone'] = dict(
        type='mmhmc.LatentBackbone',
        codec=dict(BENCH_CODEC),
        input_norm=model['data_preprocessor'])
    model['neck'] = dict(
        type='mmhmc.CompressedDomainNeck',
        in_channels=8,
        out_channels=32,
        strides=None)
    return cfg


def save(cfg, path, change=lambda model: None):
    """Weights of a model whose codec writes bits."""
    with DefaultScope.overwrite_default_scope(cfg['default_scope']):
        model = MODELS.build(Config(cfg).model)
    coder = model.backbone
    coder.codec.load_state_dict(tiny_codec('MeanScaleHyperprior').state_dict())
    if getattr(coder, 'adapter', None) is not None:
        torch.nn.init.normal_(coder.adapter.layers[-1].weight, std=0.1)
    change(model)
    torch.save(dict(state_dict=model.state_dict()), path)
    return str(path)


@pytest.fixture(scope='module')
def home(tmp_path_factory):
    """A folder with images, and for each host a model."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp('inferencer')
    for name, size in (('a.png', (40, 60)), ('b.png', (40, 60)), ('sub/c.png',
                                                                  (33, 50))):
        path = folder / 'images' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, smooth_images(1, *size)[0])
    return folder


_BUILT = {}


def inferencer(home, host, protocol=None, latents=False, **kwargs):
    """Built once for each kind, as building takes the longest."""
    pytest.importorskip(host)
    key = host, protocol, latents, str(kwargs)
    if key not in _BUILT:
        torch.manual_seed(0)
        cfg = HOSTS[host]()
        cfg = on_latents(cfg) if latents else with_codec(cfg)
        path = home / f'{host}_{latents}.pth'
        if not path.exists():
            save(cfg, path)
        _BUILT[key] = HMCInferencer(
            cfg, str(path), 'cpu', protocol=protocol, **kwargs)
    return _BUILT[key]


def same(one, other, tolerance=0.):
    """Whether two plain predictions are equal."""
    assert one.keys() == other.keys()
    for key in one:
        if key in ('masks', 'pred_class'):
            assert one[key] == other[key]
        else:
            np.testing.assert_allclose(
                np.array(one[key], float),
                np.array(other[key], float),
                rtol=tolerance,
                atol=tolerance)
    return True


QUIET = dict(show_progress=False)


@everywhere
@every_host
def test_analysis_of_the_files_equals_the_call(home, host, protocol, tmp_path):
    hmc = inferencer(home, host, protocol)
    folder = home / 'images'
    results = hmc(folder, **QUIET)
    encoded = hmc.encode(folder, tmp_path, **QUIET)
    assert [one.name for one in encoded] == ['a.png', 'b.png', 'sub/c.png']
    for one, stream in zip(encoded, results['bitstreams']):
        assert one.path == tmp_path / f'{one.name}.hmc'
        assert one.path.read_bytes() == stream.to_bytes()
    again = hmc.analyze(encoded, **QUIET)['predictions']
    assert all(map(same, again, results['predictions']))
    if protocol == 'before the pipeline':
        from_files = hmc.analyze(tmp_path, **QUIET)['predictions']
        assert all(map(same, from_files, results['predictions']))


@every_host
def test_prediction_in_the_model_is_that_of_the_hosts_own_test_step(
        home, host):
    hmc = inferencer(home, host, 'in the model')
    path = home / 'images/a.png'
    found, = hmc(path, **QUIET)['predictions']
    own, = hmc.encode(path, **QUIET)
    item = hmc._host._item(to_bgr(read_image(path)), 'a.png')
    data = hmc.model.data_preprocessor({k: [v] for k, v in item.items()})
    expected = [(data['inputs'], [own.bitstream.size])]
    with torch.no_grad(), hmc.coder.recording(expected) as records:
        sample, = hmc.model(**data, mode='predict')
    coded, = records
    assert coded.num_bytes == [own.bitstream.num_bytes]
    assert own.bits == pytest.approx(float(coded.bits), rel=1e-6)
    expected = plain_prediction(sample.to('cpu'), hmc.dataset_meta['classes'])
    if host == 'mmdet':
        # Of random boxes some are equally sure, which decides their order.
        found, expected = (
            dict(scores=sorted(one['scores'])[-20:])
            for one in (found, expected))
    assert same(found, expected, 2e-3)


@every_host
def test_image_that_a_machine_sees_is_analyzed_as_its_bitstream(home, host):
    hmc = inferencer(home, host)
    encoded = hmc.encode(home / 'images/sub', **QUIET)
    expected, = hmc.analyze(encoded, **QUIET)['predictions']
    seen = hmc.decode(encoded, adapted=True, **QUIET)
    found, = (
        plain_prediction(sample, hmc.dataset_meta['classes'])
        for sample in hmc.analyze_images(seen))
    assert same(found, expected)


def test_host_that_sees_latents_analyzes_no_images(home):
    hmc = inferencer(home, 'mmpretrain', latents=True)
    with pytest.raises(RuntimeError, match='no model here that sees images'):
        hmc.analyze_images([np.zeros((40, 60, 3), np.uint8)])


@everywhere
@every_host
def test_batches_give_what_single_images_give(home, host, protocol):
    hmc = inferencer(home, host, protocol)
    folder = home / 'images'
    single = hmc(folder, **QUIET)
    batched = hmc(folder, batch_size=3, **QUIET)
    for one, other in zip(single['bitstreams'], batched['bitstreams']):
        assert one.to_bytes() == other.to_bytes()
    for one, other in zip(single['predictions'], batched['predictions']):
        assert same(one, other, 1e-3)


def test_latents_are_analyzed_without_decoding_images(home, monkeypatch):
    hmc = inferencer(home, 'mmpretrain', latents=True)
    assert hmc.protocol == 'in the model'
    calls = []
    decode = hmc.codec.decode_latents
    monkeypatch.setattr(hmc.codec, 'decode_latents',
                        lambda *args: calls.append(1) or decode(*args))
    results = hmc(home / 'images/a.png', **QUIET)
    assert not calls
    assert results['bitstreams'][0].size == RESIZED
    assert results['images'] == []
    again = hmc(
        home / 'images/a.png', return_images=True, return_vis=True, **QUIET)
    assert calls == [1]
    assert again['images'][0].shape == (*RESIZED, 3)
    assert again['visualization'][0].shape == (40, 60, 3)
    assert same(again['predictions'][0], results['predictions'][0])


def test_latents_seen_are_those_of_the_backbone_itself(home):
    hmc = inferencer(home, 'mmpretrain', latents=True)
    path = home / 'images/a.png'
    item = hmc._host._item(to_bgr(read_image(path)), 'a.png')
    with torch.no_grad():
        expected, = hmc.model.test_step({k: [v] for k, v in item.items()})
    found, = hmc(path, **QUIET)['predictions']
    np.testing.assert_allclose(
        found['pred_scores'], expected.pred_score, atol=1e-6)


def test_latents_of_own_size_are_seen_where_it_is_asked_for(home):
    hmc = inferencer(home, 'mmpretrain', PROTOCOLS[0], latents=True)
    results = hmc(home / 'images', batch_size=2, **QUIET)
    assert [b.size for b in results['bitstreams']] == [(40, 60), (40, 60),
                                                       (33, 50)]
    assert len(results['predictions']) == 3


def test_stream_of_another_place_is_refused(home, tmp_path):
    before = inferencer(home, 'mmpretrain', PROTOCOLS[0])
    within = inferencer(home, 'mmpretrain', PROTOCOLS[1])
    before.encode(home / 'images/a.png', tmp_path, **QUIET)
    message = r'coded with size \(40, 60\), but .* makes \(48, 72\)'
    with pytest.raises(ValueError, match=message):
        within.analyze(tmp_path / 'a.png.hmc', **QUIET)


def test_bare_stream_of_the_model_is_analyzed_in_its_own_size(home, tmp_path):
    hmc = inferencer(home, 'mmseg', PROTOCOLS[1])
    encoded = hmc.encode(home / 'images/a.png', tmp_path, **QUIET)
    known, = hmc.analyze(encoded, **QUIET)['predictions']
    bare, = hmc.analyze(tmp_path / 'a.png.hmc', **QUIET)['predictions']
    assert known['sem_seg'].shape == (40, 60)
    assert bare['sem_seg'].shape == RESIZED


def test_all_kinds_of_inputs_give_the_same(home, tmp_path):
    hmc = inferencer(home, 'mmpretrain', PROTOCOLS[0])
    folder = home / 'images'
    arrays = []
    for name in ('a.png', 'b.png', 'sub/c.png'):
        x = read_image(folder / name)
        arrays.append((x.flip(0) * 255).byte().permute(1, 2, 0).numpy())
    expected = [one.bitstream.to_bytes() for one in hmc.encode(folder)]
    for given in (str(folder / '**/*.png'), arrays,
                  [folder / 'a.png', folder / 'b.png', folder / 'sub']):
        found = hmc.encode(given, **QUIET)
        assert [one.bitstream.to_bytes() for one in found] == expected
    single = hmc.encode(arrays[2], **QUIET)[0]
    assert single.name == '00000000.png'
    assert single.bitstream.to_bytes() == expected[2]
    streams = [Bitstream.from_bytes(expected[0]), expected[1]]
    images = hmc.decode(streams, **QUIET)
    assert [image.shape for image in images] == [(40, 60, 3)] * 2


def test_decoded_image_is_what_the_file_says_it_is(home, tmp_path):
    hmc = inferencer(home, 'mmpretrain', PROTOCOLS[0])
    encoded = hmc.encode(home / 'images/a.png', **QUIET)
    image, = hmc.decode(encoded, tmp_path, **QUIET)
    written = read_image(tmp_path / 'a.png').flip(0).permute(1, 2, 0)
    np.testing.assert_array_equal(image, (written * 255).round().numpy())
    x_hat = hmc.codec.decompress([encoded[0].bitstream])[0].flip(0)
    np.testing.assert_array_equal(image, (x_hat.permute(1, 2, 0) *
                                          255).round().numpy())
    adapted, = hmc.decode(encoded, adapted=True, **QUIET)
    assert adapted.shape == image.shape
    assert (adapted != image).any()


def test_rate_is_real_and_bits_per_pixel_of_the_original(home):
    hmc = inferencer(home, 'mmpretrain', PROTOCOLS[1])
    results = hmc(home / 'images/a.png', **QUIET)
    rate, = results['rates']
    num_bytes = len(results['bitstreams'][0].to_bytes())
    assert rate['num_bytes'] == num_bytes
    assert rate['bpp'] == 8 * num_bytes / (40 * 60)
    assert rate['bpp_coded'] == 8 * num_bytes / (48 * 72)
    assert 0 < rate['bpp_estimated'] < rate['bpp']


@every_host
def test_folder_gets_streams_images_drawings_and_predictions(
        home, host, tmp_path):
    hmc = inferencer(home, host, PROTOCOLS[0])
    results = hmc(home / 'images', tmp_path, return_vis=True, **QUIET)
    found = {
        path.relative_to(tmp_path).as_posix()
        for path in tmp_path.rglob('*') if path.is_file()
    }
    names = ('a.png', 'b.png', 'sub/c.png')
    expected = {
        path
        for name in names
        for path in (f'streams/{name}.hmc', f'images/{name}', f'vis/{name}',
                     f'preds/{name}.json')
    }
    if host == 'mmseg':
        expected |= {f'preds/{name}.sem_seg.png' for name in names}
    assert found == expected
    for drawing, size in zip(results['visualization'], [(40, 60), (40, 60),
                                                        (33, 50)]):
        assert drawing.shape == (*size, 3) and drawing.dtype == np.uint8
    content = json.loads((tmp_path / 'preds/a.png.json').read_text())
    assert content['rate'] == results['rates'][0]


def test_predictions_of_each_host_are_plain(home):
    found = {
        host:
        inferencer(home, host, PROTOCOLS[0])(home / 'images/a.png',
                                             **QUIET)['predictions'][0]
        for host in HOSTS
    }
    assert set(found['mmdet']) == {'labels', 'scores', 'bboxes'}
    assert found['mmseg']['sem_seg'].shape == (40, 60)
    assert len(found['mmpretrain']['pred_scores']) == 3
    assert found['mmpretrain']['pred_class'] in ('one', 'two', 'three')


@every_host
def test_files_of_an_earlier_call_are_kept_unless_replaced_by_wish(
        home, host, tmp_path):
    hmc = inferencer(home, host, PROTOCOLS[0])
    hmc(home / 'images', tmp_path, **QUIET)
    files = [path for path in tmp_path.rglob('*') if path.is_file()]
    times = {path: path.stat().st_mtime_ns for path in files}
    # The same again changes no file.
    hmc(home / 'images', tmp_path, **QUIET)
    assert {path: path.stat().st_mtime_ns for path in files} == times
    for path in files:
        content = path.read_bytes()
        path.write_text('mine')
        with pytest.raises(FileExistsError, match='other content.*force=True'):
            hmc(home / 'images', tmp_path, **QUIET)
        assert path.read_text() == 'mine'
        path.write_bytes(content)
    files[0].write_text('mine')
    hmc(home / 'images', tmp_path, force=True, **QUIET)
    assert files[0].read_bytes() != b'mine'


# A codec alone.


@pytest.fixture(scope='module')
def alone(home):
    path = home / 'codec.pth'
    torch.save(tiny_codec('MeanScaleHyperprior').state_dict(), path)
    return HMCInferencer(dict(codec=dict(BENCH_CODEC)), path, 'cpu')


def test_decoding_beside_the_original_does_not_replace_it(
        home, alone, tmp_path):
    image = tmp_path / 'a.png'
    content = (home / 'images/a.png').read_bytes()
    image.write_bytes(content)
    coded = alone.encode(image, tmp_path, **QUIET)
    for inputs in (coded, coded[0].path):
        with pytest.raises(FileExistsError, match='a.png exists'):
            alone.decode(inputs, tmp_path, **QUIET)
    assert image.read_bytes() == content
    coded[0].path.write_text('mine')
    with pytest.raises(FileExistsError, match='a.png.hmc exists'):
        alone.encode(image, tmp_path, **QUIET)
    assert coded[0].path.read_text() == 'mine'
    alone.encode(image, tmp_path, force=True, **QUIET)
    alone.decode(tmp_path / 'a.png.hmc', tmp_path, force=True, **QUIET)
    assert image.read_bytes() != content


def test_codec_alone_codes_and_decodes(home, alone):
    results = alone(home / 'images', return_images=True, **QUIET)
    assert results['predictions'] == []
    assert [p.shape for p in results['images']] == [(40, 60, 3), (40, 60, 3),
                                                    (33, 50, 3)]


def test_codec_alone_refines_what_it_encodes(home, alone):
    search = dict(steps=3, lmbda=1e-4, lr=0.3)
    path = home / 'images/a.png'
    one, = alone.encode(path, refinement=search)
    x = read_image(path)[None]
    stream, = alone.codec.compress(x, None, LatentRefinement(**search))
    assert one.bitstream == stream
    assert one.num_bytes == stream.num_bytes
    with pytest.raises(ValueError, match='`steps` must be'):
        alone.encode(path, refinement=0)


def test_codec_alone_analyzes_nothing(home, alone):
    encoded = alone.encode(home / 'images/a.png', **QUIET)
    with pytest.raises(RuntimeError, match='a codec alone, with no model'):
        alone.analyze(encoded, **QUIET)
    with pytest.raises(ValueError, match='There is no adapter'):
        alone.decode(encoded, adapted=True, **QUIET)


def test_quality_and_task_reach_the_codec(home, tmp_path):
    cfg = dict(
        model=dict(
            type='mmhmc.CodecModel',
            codec=dict(
                type='mmhmc.MPA',
                tasks=['seg'],
                hidden_channels=(16, 16, 16),
                latent_channels=32,
                hyper_channels=16,
                depths=(1, 1, 1, 1, 1, 1)),
            condition=dict(quality=2)))
    codec = tiny_codec('MPA', tasks=['seg'])
    torch.save(codec.state_dict(), tmp_path / 'mpa.pth')
    hmc = HMCInferencer(
        cfg, tmp_path / 'mpa.pth', 'cpu', condition=dict(task='seg'))
    path = home / 'images/a.png'
    encoded, = hmc.encode(path, **QUIET)
    assert encoded.bitstream.quality == 2
    finer, = hmc.encode(path, quality=7.5, **QUIET)
    assert finer.bitstream.quality == 7.5
    task, = hmc.decode(encoded, **QUIET)
    people, = hmc.decode(encoded, condition=dict(task=None), **QUIET)
    assert (task != people).any()
    with pytest.raises(ValueError, match="`task` must be one of .*'seg'"):
        hmc.encode(path, condition=dict(task='dog'), **QUIET)


# What cannot be done.


def test_config_without_weights_is_refused():
    pytest.importorskip('mmpretrain')
    with pytest.raises(ValueError, match='no weights, and no `checkpoint`'):
        HMCInferencer(with_codec(classifier()), device='cpu')


def test_codec_without_weights_is_refused():
    with pytest.raises(ValueError, match='the codec of the config has no'):
        HMCInferencer(dict(codec=dict(BENCH_CODEC)), device='cpu')


def test_checkpoint_of_a_bare_host_needs_a_trained_codec(home, tmp_path):
    pytest.importorskip('mmpretrain')
    cfg = classifier()
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        bare = MODELS.build(Config(cfg).model)
    path = tmp_path / 'host.pth'
    torch.save(dict(state_dict=bare.state_dict()), path)
    mixed = with_codec(classifier(), adapter=False)
    with pytest.raises(ValueError, match='holds no weights of the codec'):
        HMCInferencer(mixed, path, 'cpu')
    codec = tmp_path / 'codec.pth'
    torch.save(
        dict(state_dict=tiny_codec('MeanScaleHyperprior').state_dict()), codec)
    mixed['model']['backbone']['codec']['init_cfg'] = dict(
        type='Pretrained', checkpoint=str(codec))
    # As the host saved them, and as the mixed model calls them.
    behind = {
        f'backbone.{k}' if k.startswith('backbone.') else k: v
        for k, v in bare.state_dict().items()
    }
    renamed = tmp_path / 'renamed.pth'
    torch.save(dict(state_dict=behind), renamed)
    for weights in (path, renamed):
        hmc = HMCInferencer(mixed, weights, 'cpu')
        assert hmc.encode(home / 'images/a.png', **QUIET)[0].num_bytes > 40


def test_adapter_that_has_learnt_nothing_is_refused(tmp_path):
    pytest.importorskip('mmpretrain')
    cfg = with_codec(classifier())
    path = save(
        cfg, tmp_path / 'new.pth', lambda model: torch.nn.init.zeros_(
            model.backbone.adapter.layers[-1].weight))
    with pytest.raises(ValueError, match='The adapter would change nothing'):
        HMCInferencer(cfg, path, 'cpu')
    hmc = HMCInferencer(
        cfg,
        path,
        'cpu',
        options={'model.backbone.test_cfg': dict(adapter=False)})
    assert not hmc.has_adapter


def test_config_in_a_checkpoint_is_never_run(home, tmp_path):
    pytest.importorskip('mmpretrain')
    mark = tmp_path / 'was_run'
    cfg = with_codec(classifier())
    path = save(cfg, tmp_path / 'evil.pth')
    saved = torch.load(path, weights_only=True)
    text = f'open({str(mark)!r}, "w")'
    saved.update(
        meta=dict(cfg=text), message_hub=dict(runtime_info=dict(cfg=text)))
    torch.save(saved, path)
    HMCInferencer(cfg, path, 'cpu')
    assert not mark.exists()


def test_weights_of_another_model_are_refused(home, tmp_path):
    pytest.importorskip('mmpretrain')
    inferencer(home, 'mmpretrain')
    cfg = with_codec(classifier())
    cfg['model']['head']['num_classes'] = 7
    with pytest.raises(ValueError, match='does not fit the config: size mis'):
        HMCInferencer(cfg, home / 'mmpretrain_False.pth', 'cpu')
    state = torch.load(home / 'mmpretrain_False.pth')['state_dict']
    del state['head.fc.bias']
    torch.save(dict(state_dict=state), tmp_path / 'less.pth')
    with pytest.raises(ValueError, match='lacks 1 tensors, first head.fc.bia'):
        HMCInferencer(with_codec(classifier()), tmp_path / 'less.pth', 'cpu')


def test_gpu_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(ValueError, match='is cuda, but torch finds no GPUs'):
        HMCInferencer(dict(codec=dict(BENCH_CODEC)), device='cuda')


def test_name_of_the_zoo_brings_config_and_weights(zoo, tiny_weights):
    hmc = HMCInferencer('tiny', device='cpu')
    expected = load_codec(load_config('tiny'), tiny_weights)
    assert hmc.codec.weights_hash() == expected.weights_hash()


def test_unknown_name_is_that_of_the_zoo():
    with pytest.raises(ValueError, match="'mean-scale-hyperprior_image'"):
        HMCInferencer('mean-scale-hyperprior_image', device='cpu')


def test_config_that_is_not_there_is_no_name_of_the_zoo():
    with pytest.raises(FileNotFoundError, match='no config .missing.py'):
        HMCInferencer('missing.py', device='cpu')


def test_unknown_place_is_refused(home, alone):
    with pytest.raises(ValueError, match="`protocol` must be one of"):
        HMCInferencer(dict(codec=dict(BENCH_CODEC)), protocol='elsewhere')
    with pytest.raises(ValueError, match='needs a host model behind'):
        HMCInferencer(
            dict(codec=dict(BENCH_CODEC)),
            home / 'codec.pth',
            'cpu',
            protocol='in the model')


def test_file_of_another_codec_is_refused_with_its_name(home, alone, tmp_path):
    alone.encode(home / 'images/a.png', tmp_path, **QUIET)
    other = HMCInferencer(
        dict(codec=dict(type='mmhmc.JPEG', quality=50)), device='cpu')
    with pytest.raises(BitstreamError, match='a.png.hmc: This codec is JPEG'):
        other.decode(tmp_path, **QUIET)
    path = tmp_path / 'a.png.hmc'
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(BitstreamError, match='a.png.hmc: .* were announced'):
        alone.decode(tmp_path, **QUIET)


def test_inputs_that_are_none_are_refused(home, alone, tmp_path):
    (tmp_path / 'text.png').write_text('no image')
    with pytest.raises(ValueError, match='text.png is no image'):
        alone.encode(tmp_path, **QUIET)
    with pytest.raises(FileNotFoundError, match='missing.png'):
        alone.encode(tmp_path / 'missing.png', **QUIET)
    with pytest.raises(ValueError, match='matches no file that ends'):
        alone.encode(str(tmp_path / '*.tiff'), **QUIET)
    with pytest.raises(ValueError, match='holds no file that ends'):
        alone.decode(tmp_path, **QUIET)
    with pytest.raises(ValueError, match='the list is empty'):
        alone.encode([], **QUIET)
    with pytest.raises(ValueError, match='a.png is an image; expected a bit'):
        alone.decode(home / 'images/a.png', **QUIET)
    with pytest.raises(ValueError, match=r'uint8 of shape \(H, W, 3\), got f'):
        alone.encode(np.zeros((4, 4, 3)), **QUIET)
    with pytest.raises(TypeError, match='got a int'):
        alone.encode([3], **QUIET)
    with pytest.raises(ValueError, match='`batch_size` must be 1 or more'):
        alone(home / 'images/a.png', batch_size=0, **QUIET)


def test_two_inputs_of_one_name_are_refused_only_when_written(
        home, alone, tmp_path):
    given = [home / 'images/a.png'] * 2
    assert len(alone.encode(given, **QUIET)) == 2
    with pytest.raises(ValueError, match='Two inputs are called a.png'):
        alone.encode(given, tmp_path, **QUIET)


# Layers.


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_host_sees_the_layers_that_are_kept(home, protocol):
    whole = inferencer(
        home,
        'mmpretrain',
        protocol,
        options={'model.backbone.codec.layers': [3]})
    base = inferencer(
        home,
        'mmpretrain',
        protocol,
        layers=1,
        options={'model.backbone.codec.layers': [3]})
    image = home / 'images/a.png'
    one, = whole.encode(image, **QUIET)
    cut, = base.encode(image, **QUIET)
    assert cut.bitstream == one.bitstream.keep_layers(1)
    assert cut.num_bytes == one.bitstream.layer_bytes[0]
    assert cut.bits < one.bits
    # A whole file is cut, too, and a file that ends too early is read.
    data = one.bitstream.to_bytes()
    seen = [
        base.analyze([given], **QUIET)['predictions'][0]
        for given in (cut, one)
    ]
    assert same(*seen)
    with pytest.warns(UserWarning, match="within stream 'y1'"):
        short, = whole.decode([data[:-1]], **QUIET)
    assert np.array_equal(short, base.decode([data], **QUIET)[0])
    assert not np.array_equal(short, whole.decode([data], **QUIET)[0])


def test_host_may_see_the_base_of_a_whole_file(home):
    options = {
        'model.backbone.codec.layers': [3],
        'model.backbone.machine_layers': 1
    }
    both = inferencer(home, 'mmpretrain', options=options)
    base = inferencer(
        home,
        'mmpretrain',
        layers=1,
        options={'model.backbone.codec.layers': [3]})
    image = home / 'images/a.png'
    found, alone = both(image, **QUIET), base(image, **QUIET)
    assert same(found['predictions'][0], alone['predictions'][0])
    assert len(found['bitstreams'][0].layers) == 2
