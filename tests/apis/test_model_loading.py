"""Where a codec's weights come from if a checkpoint is a bare host's."""
import pytest
import torch
from conftest import MockTaskModel, tiny_codec, wrapped_model

from mmhmc.apis.model_loading import complete_codec
from mmhmc.codecs import IdentityCodec


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
        if not key.startswith('backbone.codec.')
    }


def test_codec_of_the_config_is_taken(model, tmp_path):
    trained = tiny_codec('MeanScaleHyperprior')
    torch.nn.init.constant_(trained.g_a[0].bias, 7.)
    path = saved(tmp_path, trained.state_dict(), 'codec.pth')
    model.backbone.codec.init_cfg = dict(
        type='Pretrained', checkpoint=str(path))
    complete_codec(model, saved(tmp_path, bare(model)))
    assert (model.backbone.codec.g_a[0].bias == 7).all()


def test_codec_of_the_checkpoint_is_left_to_it(model, tmp_path):
    model.backbone.codec.init_cfg = dict(
        type='Pretrained', checkpoint='nowhere.pth')
    prefixed = {f'module.{k}': v for k, v in model.state_dict().items()}
    complete_codec(model, saved(tmp_path, model.state_dict()))
    complete_codec(model, saved(tmp_path, prefixed))


@pytest.mark.parametrize('init_cfg', [
    None,
    dict(type='Pretrained', checkpoint=None),
    dict(type='Normal', layer='Conv2d')
])
def test_codec_without_weights_is_refused(model, init_cfg, tmp_path):
    model.backbone.codec.init_cfg = init_cfg
    with pytest.raises(ValueError, match='holds no weights of the codec'):
        complete_codec(model, saved(tmp_path, bare(model)))


def test_model_without_a_codec_needs_none(tmp_path):
    # Not even its checkpoint is looked at.
    complete_codec(MockTaskModel(), tmp_path / 'nowhere.pth')
    complete_codec(
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
