"""tools/model_converters/set_zoo_url.py."""
import runpy
from pathlib import Path

from mmhmc.zoo import list_models

TOOL = Path(__file__).parents[2] / 'tools/model_converters/set_zoo_url.py'


def test_addresses_are_set_and_taken_back(zoo):
    set_zoo_url = runpy.run_path(str(TOOL))['set_zoo_url']
    metafile = zoo.root / 'configs/tiny/metafile.yml'
    before = metafile.read_text()
    assert set_zoo_url(zoo.root, 'https://host/a/') == 1
    assert 'Weights: https://host/a/tiny.safetensors\n' in metafile.read_text()
    assert list_models()['tiny'].weights == 'tiny.safetensors'
    set_zoo_url(zoo.root, 'model_zoo')
    assert metafile.read_text() == before
