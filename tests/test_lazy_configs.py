"""A codec gets in front of a host by a config in mmengine's lazy style."""
import pytest
from mmengine.config import Config
from mmengine.registry import MODELS

from mmhmc.apis.config_files import read_config

OWN_CONFIG = '''
from mmengine.config import read_base

from mmhmc.adapters import DynamicAdaptation
from mmhmc.codecs import IdentityCodec
from mmhmc.models import CodecBackbone

with read_base():
    from standin_host.configs.classifier import *

model.backbone = dict(
    type=CodecBackbone,
    codec=dict(type=IdentityCodec),
    adapter=dict(type=DynamicAdaptation, width=64),
    backbone=model.backbone,
    input_norm=model.data_preprocessor)
'''
HOST_CONFIG = '''
from conftest import MockTaskModel, TinyBackbone

model = dict(
    type=MockTaskModel,
    data_preprocessor=dict(
        type='ImgDataPreprocessor',
        mean=[120., 110., 100.],
        std=[60., 50., 40.],
        bgr_to_rgb=True),
    backbone=dict(type=TinyBackbone, out_channels=4))
'''


@pytest.fixture
def host(tmp_path, monkeypatch):
    package = tmp_path / 'standin_host'
    (package / 'configs').mkdir(parents=True)
    (package / '__init__.py').write_text('')
    (package / 'configs/classifier.py').write_text(HOST_CONFIG)
    monkeypatch.syspath_prepend(tmp_path)


def test_codec_gets_in_front_of_a_lazy_host_config(host, tmp_path):
    own = tmp_path / 'own.py'
    own.write_text(OWN_CONFIG)
    model = Config.fromfile(own).model
    assert model.backbone.type.__name__ == 'CodecBackbone'
    assert model.backbone.backbone.type.__name__ == 'TinyBackbone'
    assert MODELS.build(model).backbone.adapter is not None


def test_base_of_a_former_release_is_told_of_the_text_config(tmp_path):
    own = tmp_path / 'own.py'
    own.write_text(
        'from mmengine.config import read_base\n'
        'with read_base():\n'
        '    from mmhmc.configs._base_.codecs.scale_hyperprior import codec\n')
    with pytest.raises(ValueError, match='codecs/scale-hyperprior.py'):
        read_config(own)
