"""Codecs from configs and checkpoints, or the reason why not."""
import pytest
import torch
from conftest import CODECS, smooth_images, tiny_codec
from mmengine.config import Config
from mmengine.runner import save_checkpoint

from mmhmc.apis.codec_loading import CodecSource, load_codec
from mmhmc.models import CodecModel

SETTINGS = dict(type='mmhmc.MeanScaleHyperprior', hidden_channels=8)
PLACES = dict(
    axis=dict(codec=dict(SETTINGS, latent_channels=8)),
    model=dict(
        # What a leaf keeps of its base does not count.
        codec=dict(SETTINGS, latent_channels=99),
        model=dict(codec=dict(SETTINGS, latent_channels=8))),
    backbone=dict(
        codec=dict(SETTINGS, latent_channels=99),
        model=dict(backbone=dict(codec=dict(SETTINGS, latent_channels=8)))))


@pytest.fixture(scope='module')
def codec():
    torch.manual_seed(0)
    return tiny_codec('MeanScaleHyperprior')


@pytest.fixture
def checkpoint(tmp_path, codec):
    path = str(tmp_path / 'weights.pth')
    torch.save(codec.state_dict(), path)
    return path


def assert_same(one, other):
    x = smooth_images(1, 40, 52)
    assert one.compress(x) == other.compress(x)


@pytest.mark.parametrize('place', PLACES)
def test_codec_is_found_in_each_kind_of_config(codec, checkpoint, tmp_path,
                                               place):
    path = tmp_path / 'config.py'
    Config(PLACES[place]).dump(path)
    for config in (path, str(path), Config(PLACES[place]), PLACES[place]):
        loaded = load_codec(config, checkpoint)
        assert not loaded.training
        assert_same(loaded, codec)


@pytest.mark.parametrize('prefix', ['', 'codec.', 'backbone.codec.'])
@pytest.mark.parametrize('wrapped', [True, False])
def test_weights_are_found_under_each_prefix(codec, tmp_path, prefix, wrapped):
    state = {prefix + key: value for key, value in codec.state_dict().items()}
    if prefix:
        state['head.weight'] = torch.zeros(1)
    path = tmp_path / 'weights.pth'
    torch.save(dict(state_dict=state, meta={}) if wrapped else state, path)
    assert_same(load_codec(PLACES['axis'], path), codec)


def test_checkpoint_of_a_codec_model_loads(codec, tmp_path):
    model = CodecModel(codec)
    path = str(tmp_path / 'epoch_1.pth')
    save_checkpoint(dict(state_dict=model.state_dict()), path)
    assert_same(load_codec(PLACES['model'], path), codec)


def test_old_names_of_compressais_model_zoo_are_known(codec, tmp_path):
    state = codec.state_dict()
    for kind, old in dict(
            matrix='matrices', bias='biases', factor='factors').items():
        for key in [key for key in state if f'._{kind}' in key]:
            new = f'entropy_bottleneck._{old}.{key[-1]}'
            state[new] = state.pop(key)
    path = tmp_path / 'zoo.pth.tar'
    torch.save(state, path)
    assert_same(load_codec(PLACES['axis'], path), codec)


@pytest.mark.parametrize('kind', ['empty', 'absent'])
def test_tables_are_made_where_the_checkpoint_has_none(codec, tmp_path, kind):
    fresh = tiny_codec('MeanScaleHyperprior')
    fresh.load_state_dict(codec.state_dict())
    fresh.update_entropy_tables()
    x = smooth_images(1, 40, 52)
    expected = fresh.compress(x)
    fresh.drop_entropy_tables()
    state = fresh.state_dict()
    if kind == 'absent':
        names = ('_quantized_cdf', '_cdf_length', '_offset', 'scale_table')
        state = {k: v for k, v in state.items() if not k.endswith(names)}
    torch.save(state, tmp_path / 'weights.pth')
    loaded = load_codec(PLACES['axis'], tmp_path / 'weights.pth')
    assert loaded.compress(x) == expected


def test_options_override_the_config(checkpoint, codec):
    config = dict(codec=dict(SETTINGS, latent_channels=99))
    options = {'codec.latent_channels': 8}
    assert_same(load_codec(config, checkpoint, cfg_options=options), codec)
    # What was given stays as it is.
    assert config['codec']['latent_channels'] == 99


def test_weights_of_init_cfg_are_taken_where_none_are_given(codec, tmp_path):
    state = {f'a.{k}': v for k, v in codec.state_dict().items()}
    path = str(tmp_path / 'weights.pth')
    torch.save(state, path)
    init_cfg = dict(type='Pretrained', checkpoint=path, prefix='a.')
    config = dict(codec=dict(PLACES['axis']['codec'], init_cfg=init_cfg))
    assert_same(load_codec(config), codec)
    init_cfg['prefix'] = 'b.'
    with pytest.raises(ValueError, match="no weights that begin with 'b.'"):
        load_codec(config)


def test_source_loads_in_bfloat16_where_it_is_asked_for(
        checkpoint, bf16, monkeypatch):
    source = CodecSource(PLACES['axis'], checkpoint, bf16=True)
    assert source.load().transform_dtype is torch.bfloat16
    # On a machine that would have to emulate it.
    monkeypatch.setenv('MMHMC_COMPUTE', 'float32')
    assert source.load().transform_dtype is None
    source = CodecSource(PLACES['axis'], checkpoint)
    assert source.load().transform_dtype is None


def test_codec_without_weights_needs_no_checkpoint():
    config = dict(codec=dict(type='mmhmc.IdentityCodec'))
    assert not load_codec(config).training


# What is refused.


@pytest.mark.parametrize('init_cfg', [None, dict(type='Kaiming', layer='X')])
def test_random_weights_are_refused(init_cfg):
    config = dict(codec=dict(PLACES['axis']['codec'], init_cfg=init_cfg))
    with pytest.raises(ValueError, match='random weights would code'):
        load_codec(config)


def test_config_without_a_codec_is_refused(checkpoint):
    with pytest.raises(ValueError, match='no codec; expected one of model.b'):
        load_codec(dict(model=dict(type='X')), checkpoint)


def test_unknown_and_wrongly_built_codecs_are_refused(checkpoint):
    with pytest.raises(ValueError, match='no codec .*Did you mean'):
        load_codec(
            dict(codec=dict(type='mmhmc.MeanScaleHyperprio')), checkpoint)
    with pytest.raises(ValueError, match='cannot be built: .*no_such'):
        load_codec(dict(codec=dict(SETTINGS, no_such=1)), checkpoint)


@pytest.mark.parametrize('text', ['codec = dict(', 'codec = nothing'])
def test_config_that_is_no_config_is_refused_by_name(checkpoint, tmp_path,
                                                     text):
    (tmp_path / 'config.py').write_text(text)
    with pytest.raises(ValueError, match='config.py cannot be read as a conf'):
        load_codec(tmp_path / 'config.py', checkpoint)


def test_options_that_do_not_fit_are_refused(checkpoint):
    with pytest.raises(ValueError, match='do not fit the config'):
        load_codec(
            PLACES['axis'], checkpoint, cfg_options={'codec.type.name': 1})


def test_missing_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='nothing.py'):
        load_codec(tmp_path / 'nothing.py', 'weights.pth')
    with pytest.raises(OSError, match='nothing.pth'):
        load_codec(PLACES['axis'], tmp_path / 'nothing.pth')


def test_missing_and_unexpected_weights_are_named(codec, tmp_path):
    state, path = codec.state_dict(), tmp_path / 'weights.pth'
    for key in [key for key in state if key.startswith('h_a.')]:
        del state[key]
    state['more.weight'] = torch.zeros(1)
    torch.save(state, path)
    with pytest.raises(
            ValueError,
            match=r'weights\.pth does not fit .* missing h_a\.0\.weight, .* '
            r'and 3 more; not expected more\.weight'):
        load_codec(PLACES['axis'], path)


def test_weights_of_another_size_are_refused_by_name(checkpoint):
    config = dict(codec=dict(SETTINGS, latent_channels=16))
    with pytest.raises(
            ValueError, match=r'weights\.pth does .* size mismatch'):
        load_codec(config, checkpoint)


@pytest.mark.parametrize('content', [{}, dict(meta=1), dict(state_dict=[])])
def test_file_without_weights_is_refused(tmp_path, content):
    torch.save(content, tmp_path / 'weights.pth')
    with pytest.raises(ValueError, match='holds no weights'):
        load_codec(PLACES['axis'], tmp_path / 'weights.pth')


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
def test_gpu_that_is_not_there_is_refused(checkpoint):
    with pytest.raises(ValueError, match='torch finds no GPU'):
        load_codec(PLACES['axis'], checkpoint, device='cuda')


def test_settings_are_those_of_the_tests_codec():
    assert PLACES['axis']['codec'] == dict(
        type='mmhmc.MeanScaleHyperprior', **CODECS['MeanScaleHyperprior'])
