"""What the index says of models, and of names that are none."""
import pytest

from mmhmc.zoo import config_path, find_model, index, list_models


def test_models_are_listed_with_what_their_metafile_has(zoo):
    model = list_models()['tiny']
    assert model.config == 'hmc/tiny_codec.py'
    assert model.options == {'codec.latent_channels': 8}
    assert model.weights == 'tiny.safetensors'
    assert model.size == (zoo.served / 'tiny.safetensors').stat().st_size
    assert model.results == {'Kodak': {'bpp': 0.2, 'PSNR': 30, 'box AP': 0.5}}
    assert model.metadata['Training Data'] == 'none'
    assert model.summary == 'A codec for tests'
    assert config_path(model) == zoo.root / 'configs/hmc/tiny_codec.py'


def test_unknown_name_is_answered_by_the_nearest(zoo):
    with pytest.raises(ValueError, match="no 'tiny_'; near it are tiny"):
        find_model('tiny_')
    with pytest.raises(ValueError, match="no '#'. `mmhmc zoo list"):
        find_model('#')


@pytest.mark.parametrize(
    'name', ['untrained', 'untrained.py', 'configs/hmc/untrained.py'])
def test_config_without_weights_is_named_with_its_training(zoo, name):
    assert 'untrained' not in list_models()
    with pytest.raises(
            ValueError, match='without weights .* `mmhmc train untrained`'):
        find_model(name)


def test_installation_without_an_index_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(index, '_PACKAGE', tmp_path / 'mmhmc')
    with pytest.raises(FileNotFoundError, match='Install mmhmc again'):
        list_models()


def test_metafile_that_is_no_yaml_is_named(zoo):
    metafile, = (zoo.root / 'configs').glob('*/metafile.yml')
    metafile.write_text('Models: [')
    with pytest.raises(
            ValueError, match='tiny/metafile.yml is no YAML: .*line 1'):
        list_models()


def test_index_of_a_package_comes_before_that_of_a_checkout(zoo, tmp_path):
    # As for a wheel beside which somebody has an index of another kind.
    (zoo.root.parent.parent / 'model-index.yml').write_text('Import: []')
    assert list(list_models()) == ['tiny']
