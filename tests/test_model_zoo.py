"""What the repository's own zoo says of its models is so."""
import re
import shutil
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from mmhmc.apis import fetch_weights, list_models, load_config
from mmhmc.apis.codec_loading import load_codec
from mmhmc.apis.publishing import MAX_BYTES
from mmhmc.checkpoints import read_checkpoint
from mmhmc.compat import respell_bottleneck

pytest.importorskip('mmdet')
ROOT = Path(__file__).parents[1]
FOLDER = ROOT / 'model_zoo'
METAFILES = sorted((ROOT / 'configs').glob('*/metafile.yml'))
MODELS = list_models()


@pytest.fixture(autouse=True)
def own_folder(monkeypatch):
    """No other place serves weights."""
    monkeypatch.setenv('MMHMC_ZOO_URL', str(FOLDER))


def has_the_weights_that_the_metafile_names(name, cfg):
    assert fetch_weights(name) == FOLDER / MODELS[name].weights
    assert MODELS[name].size <= MAX_BYTES
    assert MODELS[name].weights == f'{name}.safetensors'


def test_folder_has_weights_of_models_only_and_stays_small():
    files = sorted(FOLDER.glob('*.safetensors'))
    assert {file.stem for file in files} == set(MODELS)
    assert sum(file.stat().st_size for file in files) <= 60_000_000


def has_options_that_change_the_config(name, cfg):
    for key, value in MODELS[name].options.items():
        node = cfg
        for part in key.split('.'):
            node = node[int(part) if isinstance(node, list) else part]
        assert node == value, key


def has_weights_that_fit_the_config_strictly(name, cfg):
    path = fetch_weights(name)
    if 'codec' in cfg.model:
        codec = load_codec(cfg, path)
        own = {
            f'codec.{key}': value
            for key, value in codec.state_dict().items()
        }
    else:
        own = build(cfg)
    saved = read_checkpoint(path)['state_dict']
    if codec_apart(cfg):
        # All of the codec, or what its encoder leaves as it is.
        base = read_checkpoint(fetch_weights(codec_apart(cfg)))['state_dict']
        there = {f'backbone.{key}' for key in base}
        own = {
            k: v
            for k, v in own.items()
            if not (of_the_codec(k) and k in there) or k in saved
        }
    if cfg.get('load_from') and all(map(of_the_coder, saved)):
        # The host's weights are a file of their own.
        own = {k: v for k, v in own.items() if of_the_coder(k)}
    for prefix in {k.rpartition('.')[0] + '.' for k in own}:
        if prefix.endswith('_bottleneck.'):
            # Spelt as the installed CompressAI does.
            respell_bottleneck(
                saved, prefix,
                [k.removeprefix(prefix) for k in own if k.startswith(prefix)])
    assert set(saved) == set(own)
    for key, value in saved.items():
        # Entropy tables are made later.
        table = key.endswith(
            ('_quantized_cdf', '_cdf_length', '_offset', 'scale_table'))
        assert value.shape == own[key].shape or table, key


def codec_apart(cfg):
    """Name of the model that has the codec's weights, if not this one."""
    codec = cfg.model.get('backbone', {}).get('codec', {})
    address = (codec.get('init_cfg') or {}).get('checkpoint') or ''
    return address.removeprefix('mmhmc://')


def has_codec(cfg):
    """Whether there is one, rather than a host alone."""
    return 'codec' in cfg.model or 'codec' in cfg.model.get('backbone', {})


def of_the_codec(key):
    return key.startswith('backbone.codec.')


def of_the_coder(key):
    return key.startswith(('backbone.codec.', 'backbone.adapter.'))


def build(cfg):
    """State dict of the whole model of a config."""
    from mmengine.registry import MODELS as REGISTRY
    from mmengine.registry import DefaultScope
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        return REGISTRY.build(cfg.model).state_dict()


def has_tables_with_the_weights(name, cfg):
    """So that every machine decodes by the same ones."""
    if has_codec(cfg):
        weights = fetch_weights(codec_apart(cfg) or name)
        state = read_checkpoint(weights)['state_dict']
        tables = [k for k in state if k.endswith('_quantized_cdf')]
        assert tables and all(state[key].numel() for key in tables)


def says_what_it_cost_to_train_and_what_it_costs(name, cfg):
    model = MODELS[name]
    assert model.summary and model.collection
    assert {'Training Data', 'Training Command'} <= set(model.metadata)
    assert model.results
    if has_codec(cfg):
        assert {'Codec Parameters', 'KMAC per pixel'} <= set(model.metadata)
        assert all('bpp' in metrics for metrics in model.results.values())
    assert '?' not in yaml.safe_dump(vars(model))


@pytest.mark.parametrize('name', MODELS)
def test_model_is_what_its_row_says(name, subtests):
    cfg = load_config(name)
    for check in (has_the_weights_that_the_metafile_names,
                  has_options_that_change_the_config,
                  has_tables_with_the_weights,
                  says_what_it_cost_to_train_and_what_it_costs,
                  has_weights_that_fit_the_config_strictly):
        with subtests.test(check.__name__):
            check(name, cfg)


def test_index_names_every_metafile():
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    assert index['Import'] == [
        str(path.relative_to(ROOT)) for path in METAFILES
    ]


@pytest.mark.parametrize('metafile', METAFILES, ids=lambda p: p.parent.name)
def test_readme_of_a_method_has_the_results_of_its_metafile(metafile):
    text = (metafile.parent / 'README.md').read_text()
    for row in yaml.safe_load(metafile.read_text())['Models']:
        if 'Weights' not in row:
            continue
        line, = re.findall(rf'\| `{re.escape(row["Name"])}` \|.*', text)
        for result in row['Results']:
            for value in result['Metrics'].values():
                assert f' {value} ' in line, (row['Name'], value)


def test_the_hosts_reader_reads_the_index():
    modelindex = pytest.importorskip('modelindex')
    loaded = modelindex.load(str(ROOT / 'model-index.yml'))
    assert loaded.check(silent=True) == []
    assert {m.name for m in loaded.models if m.weights} == set(MODELS)
    collections = {c.name for c in loaded.collections}
    assert all(m.in_collection in collections for m in loaded.models)
    # mim asks in small letters.
    assert all(name == name.lower() for name in MODELS)


class Quiet(SimpleHTTPRequestHandler):

    def log_message(self, *args):
        """Keep quiet."""


@pytest.fixture
def served():
    """Address at which the folder is served."""
    handler = partial(Quiet, directory=str(FOLDER))
    with ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(.01, ))
        thread.start()
        yield f'http://127.0.0.1:{server.server_port}'
        server.shutdown()
        thread.join()


def test_mim_downloads_weights_and_config(served, tmp_path, monkeypatch):
    """From an index whose `Weights` are addresses, as mim needs them."""
    pytest.importorskip('mim', reason='needs openmim')
    # The package has functions of the same names.
    download = import_module('mim.commands.download')
    search = import_module('mim.commands.search')
    name = next(iter(MODELS))
    package = tmp_path / 'mmhmc'
    for path in (ROOT / 'model-index.yml', *METAFILES):
        copy = package / '.mim' / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    shutil.copytree(
        ROOT / 'configs', package / '.mim/configs', dirs_exist_ok=True)
    tool = ROOT / 'tools/model_converters/set_zoo_url.py'
    subprocess.run([sys.executable, tool, served, '--root', package / '.mim'],
                   check=True)
    for module in (download, search):
        monkeypatch.setattr(module, 'is_installed', lambda name: True)
        monkeypatch.setattr(module, 'get_installed_path',
                            lambda name: str(package))
    monkeypatch.setattr(download, 'module_full_name', lambda name: name)
    download.download('mmhmc', [name], str(tmp_path / 'dest'))
    weights = tmp_path / 'dest' / MODELS[name].weights
    assert weights.read_bytes() == fetch_weights(name).read_bytes()
    assert (tmp_path / 'dest' / f'{name}.py').exists()
