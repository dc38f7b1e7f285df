"""Public names of former releases go on working, and warn."""
import inspect
from importlib import import_module
from pathlib import Path

import pytest

from mmhmc import former_names
from mmhmc.apis import read_config
from mmhmc.former_names import (NAMES, TYPES, former_arguments, former_keys,
                                former_value)
from mmhmc.registry import MODELS, TRANSFORMS

OURS = [(package, name) for package in NAMES for name in NAMES[package]]


def test_a_former_name_gives_the_object_of_today(subtests):
    for package, name in OURS:
        with subtests.test(package, name=name):
            module, _, today = NAMES[package][name].rpartition('.')
            module = import_module(module or package)
            with pytest.warns(FutureWarning, match=today):
                found = getattr(import_module(package), name)
            assert found is getattr(module, today)


def test_a_name_that_never_was_is_an_attribute_error(subtests):
    for package in NAMES:
        with subtests.test(package):
            with pytest.raises(AttributeError, match='NeverWas'):
                import_module(package).NeverWas


def test_a_former_type_is_found_by_every_registry_that_has_it(subtests):
    for former, today in TYPES.items():
        with subtests.test(former):
            found = [
                registry for registry in (MODELS, TRANSFORMS)
                if registry.get(today) is not None
            ]
            assert found
            for registry in found:
                with pytest.warns(FutureWarning, match=today):
                    kind = registry.get(former)
                assert kind.__name__ == today


def test_a_config_with_scope_builds_a_former_type():
    from mmengine.registry import TRANSFORMS as ROOT
    with pytest.warns(FutureWarning, match='UseDecodedImage'):
        kind = ROOT.get('mmhmc.UseDecodedPicture')
    assert kind.__name__ == 'UseDecodedImage'


def test_former_arguments():

    @former_arguments(num_pictures='num_images')
    def count(num_images: int = 1) -> int:
        return num_images

    assert count(2) == count(num_images=2) == 2
    with pytest.warns(FutureWarning, match='num_images'):
        assert count(num_pictures=3) == 3
    with pytest.raises(TypeError, match='give one of them'):
        count(num_images=1, num_pictures=1)
    assert list(inspect.signature(count).parameters) == ['num_images']


def test_former_keys_and_values():
    with pytest.warns(FutureWarning, match='`image`'):
        assert former_keys(
            dict(picture=1, b=2), picture='image') == dict(
                image=1, b=2)
    with pytest.warns(FutureWarning, match="placement='image'"):
        assert former_value('placement', 'picture', picture='image') == 'image'
    assert former_value('placement', 'latent', picture='image') == 'latent'
    assert former_value('placement', 3, picture='image') == 3


def test_no_former_name_is_a_name_of_today():
    for package, names in NAMES.items():
        assert not set(names) & set(import_module(package).__all__)
    assert former_names.current_type('mmhmc.CodecModel') == 'mmhmc.CodecModel'


CONFIGS = Path(__file__).parents[1] / 'configs'


def test_a_config_by_its_former_place_is_read_from_that_of_today():
    assert read_config(CONFIGS / 'hmc/mask-rcnn_dynadapt_sample.py').model
    with pytest.warns(FutureWarning, match='configs/mpa/mpa-small_pictures'):
        cfg = read_config(CONFIGS / 'hmc/mpa-small_pictures.py')
    assert cfg.model.codec.type == 'mmhmc.MPA'
    with pytest.warns(FutureWarning, match='configs/mpa/mpa-small_pictures'):
        by_package = read_config('mmhmc::hmc/mpa-small_pictures.py')
    assert by_package.to_dict() == cfg.to_dict()


def test_a_config_that_never_was_is_missed_where_it_was_looked_for():
    with pytest.raises(FileNotFoundError, match='hmc/never_was.py'):
        read_config(CONFIGS / 'hmc/never_was.py')
