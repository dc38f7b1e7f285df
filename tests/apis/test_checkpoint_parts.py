"""What a model gets beside a checkpoint of a part of it."""
import pytest
import torch
from conftest import MockTaskModel, tiny_codec, wrapped_model

from mmhmc.adapters import DynamicAdaptation
from mmhmc.apis.checkpoint_parts import check_start, complete_model
from mmhmc.codecs import IdentityCodec
from mmhmc.losses import FeatureLoss, PatchDiscriminator
from mmhmc.models import CodecModel, GenerativeCodecModel

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
        for key, value in model.state_dict().items() if key.startswith(CODED)
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


def test_discriminator_is_no_host(tmp_path):
    codec = tiny_codec('MeanScaleHyperprior')
    model = GenerativeCodecModel(
        codec,
        perceptual=FeatureLoss((4, )),
        quality_range=None,
        lmbda_rate=(1., ),
        discriminator=PatchDiscriminator(
            codec.latent_channels, hidden_channels=(4, )))
    weights = {f'codec.{k}': v for k, v in codec.state_dict().items()}
    complete_model(model, saved(tmp_path, weights))


def test_model_without_a_codec_needs_none(tmp_path):
    # Not even its checkpoint is looked at.
    complete_model(MockTaskModel(), tmp_path / 'nowhere.pth')
    complete_model(
        wrapped_model(IdentityCodec()),
        saved(tmp_path,
              MockTaskModel().state_dict()))


# Other names than those of the model.


@pytest.mark.parametrize('place', ['', 'codec.', 'teacher.codec.'])
def test_codec_under_other_names_is_taken(model, place, tmp_path):
    trained = tiny_codec('MeanScaleHyperprior')
    torch.nn.init.constant_(trained.g_a[0].bias, 7.)
    path = saved(tmp_path, {
        place + key: value
        for key, value in trained.state_dict().items()
    }, 'codec.pth')
    complete_model(model, path, saved(tmp_path, bare(model)))
    assert (model.backbone.codec.g_a[0].bias == 7).all()


def test_adapter_that_is_used_needs_weights(tmp_path):
    model = wrapped_model(IdentityCodec(), DynamicAdaptation(8))
    path = saved(tmp_path, MockTaskModel().state_dict())
    with pytest.raises(ValueError, match='holds no weights of the adapter'):
        complete_model(model, path)
    model.backbone.test_cfg['adapter'] = False
    complete_model(model, path)


def test_host_that_lacks_weights_is_refused(model, tmp_path):
    part = saved(tmp_path, coded_only(model), 'codec.pth')
    less = bare(model)
    del less['head.weight']
    with pytest.raises(ValueError, match='lacks 1 tensors, first head.weight'):
        complete_model(model, part, saved(tmp_path, less))
    wrong = dict(bare(model), **{'head.bias': torch.zeros(3)})
    with pytest.raises(ValueError, match='size mismatch for head.bias'):
        complete_model(model, part, saved(tmp_path, wrong))


@pytest.mark.parametrize('place', ['', 'codec.'])
def test_training_does_not_begin_without_the_codec_it_was_given(
        model, place, tmp_path):
    path = saved(
        tmp_path, {
            place + key: value
            for key, value in model.backbone.codec.state_dict().items()
        })
    with pytest.raises(ValueError, match='init_cfg.checkpoint`, with `init'):
        check_start(model, path)
    # A codec alone takes it under either name.
    check_start(CodecModel(model.backbone.codec), path)


def test_training_begins_with_a_host_or_with_all(model, tmp_path):
    check_start(model, saved(tmp_path, bare(model)))
    check_start(model, saved(tmp_path, model.state_dict()))
    check_start(MockTaskModel(), tmp_path / 'nowhere.pth')
