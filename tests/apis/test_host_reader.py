"""Hosts that a search asks: any of three packages, seen as they see."""
import pickle

import pytest
import torch
from conftest import BENCH_CODEC, MockTaskModel, smooth_images
from mmengine.config import Config
from test_hosts import built, every_host, saved, small

from mmhmc.apis import mix_codec
from mmhmc.apis.host_analysis import HostAnalysis
from mmhmc.apis.host_reader import HostReader
from mmhmc.apis.inference_inputs import to_bgr
from mmhmc.refinement import LatentRefinement
from mmhmc.structures import CodingCondition

X = smooth_images(1, 60, 100)


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    """Weights of each host, made once."""
    made, folder = {}, tmp_path_factory.mktemp('hosts')

    def weights_of(host):
        if host not in made:
            torch.manual_seed(0)
            made[host] = saved(built(small(host)), folder / f'{host}.pth')
        return made[host]

    return weights_of


@every_host
def test_features_have_a_gradient_and_weights_have_none(host, weights):
    reader = HostReader(small(host), weights(host))
    x = X.clone().requires_grad_()
    maps = reader.features(x)
    assert maps and all(one.isfinite().all() for one in maps)
    gradient, = torch.autograd.grad(sum(one.sum() for one in maps), x)
    assert gradient.any()
    model = reader._host.model
    assert not model.training
    assert not any(p.requires_grad for p in model.parameters())


def test_of_a_segmentor_the_input_of_its_head_counts(weights):
    pytest.importorskip('mmseg')
    reader = HostReader(small('mmseg'), weights('mmseg'))
    maps = reader.features(X)
    head = reader._host.model.decode_head
    assert sum(one.shape[1] for one in maps) == head.in_channels
    everything = reader._host.model.extract_feat(reader._host._shown(X))
    assert len(everything) > len(maps) == 1
    assert maps[0].equal(everything[head.in_index])


@every_host
def test_a_host_sees_what_its_test_shows_it(host, weights):
    pytest.importorskip(host)
    cfg = small(host)
    x = torch.round(X * 255) / 255
    reader = HostReader(cfg, weights(host))
    reader.features(x)
    inner = reader._host
    analysis = HostAnalysis(inner.model, inner.coder, inner.cfg,
                            torch.device('cpu'), False)
    expected = analysis.inputs_of(to_bgr(x[0]))[1]
    view, = inner._views.values()
    found = view(x)
    assert found.shape == expected.shape
    # The pipeline rounds to 8 bits.
    step = 1 / inner.coder.input_norm.std.min()
    assert (found - expected).abs().max() <= 1.01 * step


@pytest.mark.parametrize('step, message', [
    (dict(type='Rotate', min_mag=30., max_mag=30., prob=1.), 'does more'),
])
def test_pipelines_that_do_more_are_refused(step, message, weights):
    cfg = small('mmdet')
    cfg.test_dataloader.dataset.pipeline.insert(-1, step)
    with pytest.raises(ValueError, match=message):
        HostReader(cfg, weights('mmdet')).features(X)


def test_crops_and_flips_are_seen(weights):
    cfg = small('mmdet')
    cfg.test_dataloader.dataset.pipeline[1:-1] = [
        dict(type='Resize', scale=(150, 90), keep_ratio=True),
        dict(type='RandomFlip', prob=1., direction='horizontal'),
        dict(type='Pad', size=(160, 96), pad_val=dict(img=(9., 9., 9.)))
    ]
    reader = HostReader(cfg, weights('mmdet'))
    reader.features(X)
    view, = reader._host._views.values()
    shown = view(X)
    resized = torch.nn.functional.interpolate(X, (90, 150), mode='bilinear')
    assert torch.allclose(
        shown[..., :90, :150], 255 * resized.flip(1, 3), atol=1e-3)
    assert (shown[..., 90:, :] == 9).all()


def test_images_of_a_codec_in_the_model_stay_as_they_are(weights):
    reader = HostReader(small('mmdet'), weights('mmdet'), at_own_size=True)
    reader.features(X)
    view, = reader._host._views.values()
    shown = view(X)
    assert shown.shape == (1, 3, 64, 128)
    assert torch.allclose(shown[..., :60, :100], 255 * X.flip(1), atol=1e-3)
    assert (shown[..., 60:, :] == 114).all()


def test_a_mixed_model_is_asked_through_its_adapter(weights, tmp_path):
    cfg = small('mmdet')
    codec = dict(type='mmhmc.IdentityCodec')
    mixed = mix_codec(cfg, codec,
                      dict(type='mmhmc.DynamicAdaptation', width=4))
    model = built(mixed)
    bare = torch.load(weights('mmdet'), weights_only=True)['state_dict']
    state = model.state_dict()
    for key, value in bare.items():
        state[key.replace('backbone.', 'backbone.backbone.', 1) if key.
              startswith('backbone.') else key] = value
    torch.nn.init.normal_(model.backbone.adapter.layers[-1].weight, std=0.1)
    state.update({
        f'backbone.adapter.{k}': v
        for k, v in model.backbone.adapter.state_dict().items()
    })
    torch.save(dict(state_dict=state), tmp_path / 'mixed.pth')
    reader = HostReader(mixed, str(tmp_path / 'mixed.pth'))
    alone = HostReader(cfg, weights('mmdet'))
    with torch.no_grad():
        for one, other in zip(reader.targets(X), alone.targets(X)):
            assert torch.equal(one, other)
        assert not torch.equal(reader.features(X)[0], alone.features(X)[0])


def test_a_g_t_of_all_rates_is_told_the_quality(weights, tmp_path):
    cfg = small('mmdet')
    mixed = mix_codec(
        cfg, dict(type='mmhmc.IdentityCodec'),
        dict(type='mmhmc.DynamicAdaptation', width=4))
    mixed.model.backbone.codec = dict(BENCH_CODEC, num_qualities=3)
    mixed.model.backbone.codec.update(variable_rate=True)
    mixed.model.backbone.adapter.num_qualities = 3
    model = built(mixed)
    adapter = model.backbone.adapter
    torch.nn.init.normal_(adapter.layers[-1].weight, std=0.1)
    with torch.no_grad():
        adapter.leaving.gains[0].fill_(3.)
    codec = model.backbone.codec.eval()
    codec.update_entropy_tables()
    path = str(tmp_path / 'mixed.pth')
    torch.save(dict(state_dict=model.state_dict()), path)
    reader = HostReader(mixed, path)
    seen = {}
    for quality in (1., 3.):
        condition = CodingCondition(quality=quality)
        objective = LatentRefinement(
            1e-3, readers=[reader])._objective(codec, X, condition, None, None)
        with torch.no_grad():
            seen[quality] = objective.readers[0].features(X)[0]
            told = reader.under(dict(quality=quality))
            assert torch.equal(seen[quality], told.features(X)[0])
        assert told._host is reader._host
    assert not torch.equal(seen[1.], seen[3.])


def test_logits_are_what_the_head_makes(weights):
    reader = HostReader(
        small('mmpretrain'), weights('mmpretrain'), layers='logits')
    logits, = reader.features(X)
    assert logits.shape == (1, 1000)


def test_a_reader_goes_to_other_processes(weights):
    reader = HostReader(small('mmdet'), weights('mmdet'))
    with torch.no_grad():
        seen = reader.features(X)
        copy = pickle.loads(pickle.dumps(reader))
        assert all(map(torch.equal, copy.features(X), seen))
    assert copy.settings() == reader.settings()


def test_settings_tell_hosts_apart(weights):
    one = HostReader(small('mmdet'), weights('mmdet')).settings()
    other = HostReader(
        small('mmdet'), weights('mmdet'), layers='logits').settings()
    assert one != other


@pytest.mark.parametrize('kwargs, message', [
    (dict(weight=0.), '`weight` must be positive'),
    (dict(layers='neck'), '`layers` must be one of'),
])
def test_arguments_that_make_no_sense(kwargs, message):
    with pytest.raises(ValueError, match=message):
        HostReader('machines', **kwargs)


def mocked(change, tmp_path):
    """A host without features of its own, changed by a test."""
    from mmengine.registry import MODELS

    @MODELS.register_module(name='ChangedHost', force=True)
    class ChangedHost(MockTaskModel):

        def __init__(self, backbone, data_preprocessor=None):
            super().__init__(MODELS.build(backbone))

    change(ChangedHost)
    path = tmp_path / 'host.pth'
    cfg = Config(
        dict(
            model=dict(
                type='ChangedHost',
                backbone=dict(type='TinyBackboneOfTests'),
                data_preprocessor=dict(mean=[0.] * 3, std=[1.] * 3))))
    return cfg, path


def no_features(host):
    pass


def no_gradient(host):
    host.extract_feat = lambda self, x: [self.backbone(x)[0] * 0]


def not_differentiable(host):
    host.extract_feat = lambda self, x: [self.backbone(x)[0].detach()]


def nothing(host):
    host.extract_feat = lambda self, x: []


@pytest.mark.parametrize('change, message', [
    (no_features, 'has no features'),
    (no_gradient, 'sees no gradient'),
    (not_differentiable, 'cannot be differentiated'),
    (nothing, 'gives no feature maps'),
])
def test_hosts_that_cannot_be_asked(change, message, tmp_path):
    from conftest import TinyBackbone
    from mmengine.registry import MODELS
    MODELS.register_module(
        name='TinyBackboneOfTests', module=TinyBackbone, force=True)
    cfg, path = mocked(change, tmp_path)
    torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict()), path)
    with pytest.raises(ValueError, match=message):
        HostReader(cfg, str(path), at_own_size=True).features(X)
    with pytest.raises(ValueError, match=message):
        HostReader(cfg, str(path), at_own_size=True).check()


def test_classifier_that_knows_imagenet_is_asked_by_its_name(lite0):
    pytest.importorskip('mmpretrain')
    reader = HostReader('efficientnet-lite0_imagenet-sample')
    maps = reader.features(X)
    # 256 on the short side, and 224 in the middle.
    assert [tuple(one.shape) for one in maps] == [(1, 1280, 7, 7)]
    assert reader.settings()['checkpoint'] == lite0.address
