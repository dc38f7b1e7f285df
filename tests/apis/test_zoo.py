"""The zoo as configs, tools and the command line use it."""
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import MockTaskModel, make_runner, smooth_images
from mmengine.config import Config
from mmengine.model import BaseModule
from mmengine.runner import load_checkpoint

import mmhmc.registry  # noqa: F401
from mmhmc import cli
from mmhmc.apis import load_codec, load_config
from mmhmc.apis.zoo import download_model
from mmhmc.checkpoints import read_checkpoint, write_safetensors

ROOT = Path(__file__).parents[2]


def test_config_has_the_options_of_its_model(zoo):
    assert load_config('tiny').codec.latent_channels == 8


def test_address_is_a_checkpoint_for_us(zoo, tiny_weights):
    codec = load_codec(load_config('tiny'), 'mmhmc://tiny')
    expected = load_codec(load_config('tiny'), tiny_weights)
    x = smooth_images(1, 64, 64)
    assert codec.compress(x) == expected.compress(x)


def test_address_of_an_unknown_model_is_answered_by_the_nearest(zoo):
    with pytest.raises(ValueError, match='near it are tiny'):
        read_checkpoint('mmhmc://tini')


def test_benchmarks_know_weights_of_the_zoo_by_what_is_in_them(zoo):
    """Another model may get the name; what the old one made is another's."""
    from mmhmc.apis.benchmark.fingerprints import file_hash
    file = str(zoo.served / 'tiny.safetensors')
    assert file_hash('mmhmc://tiny') == file_hash(file)


class Part(BaseModule):
    """Something with an ``init_cfg``."""

    def __init__(self, init_cfg=None):
        super().__init__(init_cfg)
        self.inner = MockTaskModel()


@pytest.fixture
def host_zoo(zoo):
    """The zoo, where ``tiny`` is the mock host."""
    import hashlib
    file = zoo.served / 'tiny.safetensors'
    size, old = file.stat().st_size, file.read_bytes()
    state = MockTaskModel().state_dict()
    write_safetensors(state, file, dict(classes=('a', 'b')))
    metafile = zoo.root / 'configs/tiny/metafile.yml'
    text = metafile.read_text()
    for was, now in ((f'Size: {size}', f'Size: {file.stat().st_size}'),
                     (hashlib.sha256(old).hexdigest(),
                      hashlib.sha256(file.read_bytes()).hexdigest())):
        assert was in text
        text = text.replace(was, now)
    metafile.write_text(text)
    return state


def has(model, state):
    own = model.state_dict()
    return all(own[key].equal(value) for key, value in state.items())


@pytest.mark.parametrize('kind', ['address', 'file'])
def test_load_from_takes_models_and_safetensors(kind, host_zoo, zoo, tmp_path):
    path = dict(
        address='mmhmc://tiny', file=str(zoo.served / 'tiny.safetensors'))
    runner = make_runner(
        MockTaskModel(), tmp_path / 'run', load_from=path[kind])
    assert not has(runner.model, host_zoo)
    runner.load_or_resume()
    assert has(runner.model, host_zoo)


@pytest.mark.parametrize('kind', ['address', 'file'])
def test_init_cfg_takes_models_and_safetensors(kind, host_zoo, zoo):
    path = dict(
        address='mmhmc://tiny', file=str(zoo.served / 'tiny.safetensors'))
    model = MockTaskModel()
    model.init_cfg = dict(type='Pretrained', checkpoint=path[kind])
    model.init_weights()
    assert has(model, host_zoo)
    model = MockTaskModel()
    model.backbone = Part(
        dict(type='Pretrained', checkpoint=path[kind], prefix='backbone.'))
    model.backbone.inner = None
    model.backbone.conv = MockTaskModel().backbone.conv
    model.backbone.init_weights()
    assert model.backbone.conv.weight.equal(host_zoo['backbone.conv.weight'])


def test_classes_come_with_the_weights(host_zoo):
    checkpoint = load_checkpoint(MockTaskModel(), 'mmhmc://tiny')
    assert checkpoint['meta']['dataset_meta'] == dict(classes=['a', 'b'])


# The first is what building a type of ours from a config does, also by the
# host's own tools; the second what a lazy config does, which names classes.
@pytest.mark.parametrize(
    'code', [
        'from mmengine.registry import HOOKS; HOOKS.get("mmhmc.RateLossHook")',
        'from mmhmc import IdentityCodec; IdentityCodec()', """
from contextlib import suppress
from mmengine.config import Config
from mmhmc.apis.training import TrainingError, build_runner
with suppress(TrainingError):
    build_runner(Config())
""", """
from contextlib import suppress
from mmengine.config import Config
from mmhmc.apis.model_loading import load_model
with suppress(ValueError):
    load_model(Config(), None, None)
"""
    ],
    ids=['registry', 'class', 'runner', 'inferencer'])
def test_scheme_is_known_after(code):
    subprocess.run([
        sys.executable, '-W', 'ignore', '-c',
        f'{code}\nfrom mmengine.runner.checkpoint import CheckpointLoader\n'
        'assert "mmhmc://" in CheckpointLoader._schemes'
    ],
                   check=True,
                   cwd=ROOT)


@pytest.mark.parametrize('module', ['mmhmc.registry', 'mmhmc.apis.training'])
def test_importing_leaves_mmengine_as_it_is(module):
    code = ('from mmengine.runner.checkpoint import CheckpointLoader\n'
            'before = dict(CheckpointLoader._schemes)\n'
            f'import {module}\n'
            'assert CheckpointLoader._schemes == before')
    subprocess.run([sys.executable, '-W', 'ignore', '-c', code],
                   check=True,
                   cwd=ROOT)


# The command.


def test_download_writes_config_and_weights_that_code(zoo, tmp_path, capsys):
    assert cli.main(['zoo', 'get', 'tiny', '-o', str(tmp_path / 'a')]) == 0
    config, weights = map(Path, capsys.readouterr().out.split())
    assert {config.name, weights.name} == {'tiny.py', 'tiny.safetensors'}
    assert {*(tmp_path / 'a').iterdir()} == {config, weights}
    assert Config.fromfile(config).codec.latent_channels == 8
    load_codec(config, weights)


def test_download_replaces_what_is_there_only_if_asked(zoo, tmp_path, capsys):
    for _ in range(2):
        _, weights = download_model('tiny', tmp_path)
    weights.write_bytes(b'mine')
    command = ['zoo', 'get', 'tiny', '-o', str(tmp_path)]
    assert cli.main(command) == 1
    assert '--force' in capsys.readouterr().err
    assert weights.read_bytes() == b'mine'
    assert cli.main([*command, '--force']) == 0
    assert weights.stat().st_size > 4


def test_list_shows_names_and_results(zoo, capsys, monkeypatch):
    monkeypatch.setenv('COLUMNS', '120')
    assert cli.main(['zoo', 'list']) == 0
    shown = capsys.readouterr().out
    for text in ('tiny', 'Kodak: bpp 0.2, PSNR 30', 'A codec for tests'):
        assert text in shown


@pytest.mark.parametrize('arguments, message', [
    (['tini'], 'near it are tiny'),
    (['untrained'], 'without weights'),
    (['tiny', '--base-url', '/nowhere'], 'does not exist. Let MMHMC_ZOO'),
])
def test_what_cannot_be_had_is_one_line_and_status_1(zoo, tmp_path, arguments,
                                                     message, capsys):
    assert cli.main(['zoo', 'get', '-o', str(tmp_path / 'd'), *arguments]) == 1
    error = capsys.readouterr().err
    assert error.count('\n') == 1 and message in error
    assert not (tmp_path / 'd').exists()
