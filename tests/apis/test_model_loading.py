"""What a model gets beside a checkpoint of a part of it."""
import pytest
import torch
from conftest import MockTaskModel, tiny_codec, wrapped_model

from mmhmc.adapters import DynamicAdaptation
from mmhmc.apis.model_loading import complete_model
from mmhmc.codecs import IdentityCodec

CODED = ('backbone.codec.', 'backbone.adapter.')


def saved(tmp_path, state_dict, name='host.pth'):
    torch.save(dict(state_dict=state_dict), tmp_path / name)
    return tmp_path / name


@pytest.fixture
def model():
    return wrapped_model(tiny_codec('MeanScaleHyperprior'))


def bare(model):
    """What a host's checkpoint has of a model."""
    return {
        key.replace('backbone.backbone.', 'backbone.'): value
        for key, value in model.state_dict().items()
        if not key.startswith(CODED)
    }


def test_codec_of_the_config_is_taken(model, tmp_path):
    trained = tiny_codec('MeanScaleHyperprior')
    torch.nn.init.constant_(trained.g_a[0].bias, 7.)
    path = saved(tmp_path, trained.state_dict(), 'codec.pth')
    model.backbone.codec.init_cfg = dict(
        type='Pretrained', checkpoint=str(path))
    complete_model(model, saved(tmp_path, bare(model)))
    assert (model.backbone.codec.g_a[0].bias == 7).all()


def test_codec_of_the_checkpoint_is_left_to_it(model, tmp_path):
    model.backbone.codec.init_cfg = dict(
        type='Pretrained', checkpoint='nowhere.pth')
    prefixed = {f'module.{k}': v for k, v in model.state_dict().items()}
    complete_model(model, saved(tmp_path, model.state_dict()))
    complete_model(model, saved(tmp_path, prefixed))


@pytest.mark.parametrize('init_cfg', [
    None,
    dict(type='Pretrained', checkpoint=None),
    dict(type='Normal', layer='Conv2d')
])
def test_codec_without_weights_is_refused(model, init_cfg, tmp_path):
    model.backbone.codec.init_cfg = init_cfg
    with pytest.raises(ValueError, match='holds no weights of the codec'):
        complete_model(model, saved(tmp_path, bare(model)))


def coded_only(model):
    """What is published of a codec and its adaptation."""
    return {
        key: value
        for key, value in model.state_dict().items()
        if key.startswith(CODED)
    }


def test_host_of_the_config_is_taken(tmp_path):
    model = wrapped_model(
        tiny_codec('MeanScaleHyperprior'), DynamicAdaptation(8))
    trained = bare(model)
    key = next(key for key in trained if key.startswith('backbone.'))
    trained[key] = torch.full_like(trained[key], 7.)
    host = saved(tmp_path, trained)
    part = saved(tmp_path, coded_only(model), 'codec.pth')
    complete_model(model, part, host)
    weight = model.state_dict()[key.replace('backbone.', 'backbone.backbone.')]
    assert (weight == 7).all()


def test_host_of_the_checkpoint_is_left_to_it(model, tmp_path):
    complete_model(model, saved(tmp_path, model.state_dict()), 'nowhere.pth')


@pytest.mark.parametrize('same', [True, False])
def test_host_without_weights_is_refused(model, same, tmp_path):
    path = saved(tmp_path, coded_only(model))
    with pytest.raises(ValueError, match='holds weights of a codec only'):
        complete_model(model, path, str(path) if same else None)


def test_model_without_a_codec_needs_none(tmp_path):
    # Not even its checkpoint is looked at.
    complete_model(MockTaskModel(), tmp_path / 'nowhere.pth')
    complete_model(
        wrapped_model(IdentityCodec()),
        saved(tmp_path,
              MockTaskModel().state_dict()))


def test_colours_of_a_file_are_what_hosts_draw_with(model, tmp_path):
    from mmengine.config import Config
    from mmengine.visualization.utils import color_val_matplotlib

    from mmhmc.apis.model_loading import _dataset_meta
    from mmhmc.checkpoints import read_checkpoint, write_safetensors
    path = tmp_path / 'a.safetensors'
    write_safetensors(model.state_dict(), path,
                      dict(classes=('person', ), palette=[(220, 60, 50)]))
    meta = _dataset_meta(Config(dict()), read_checkpoint(path))
    assert meta['palette'] == [(220, 60, 50)]
    color_val_matplotlib(meta['palette'])
