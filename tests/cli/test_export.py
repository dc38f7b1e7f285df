"""``mmhmc export``: checkpoints of others in, ours out."""
import hashlib
from collections import OrderedDict

import pytest
import torch
import yaml
from conftest import CODECS, smooth_images, tiny_codec
from torch import nn

from mmhmc.adapters import DynamicAdaptation
from mmhmc.apis import load_codec
from mmhmc.apis.publishing import (in_half, only_weights, publish_weights,
                                   without_base)
from mmhmc.checkpoints import read_checkpoint, write_safetensors
from mmhmc.cli import build_parser
from mmhmc.models import CodecModel
from mmhmc.registry import MODELS

safe_open = pytest.importorskip('safetensors').safe_open


@pytest.fixture
def run():
    """Run a subcommand; errors are not turned into lines."""

    def run(kind, *arguments):
        args = build_parser().parse_args(
            ['export', kind, *map(str, arguments)])
        return args.run(args)

    return run


@pytest.fixture
def config(tmp_path):
    """Config of the small codec, in a model."""
    sizes = CODECS['MeanScaleHyperprior']
    path = tmp_path / 'config.py'
    path.write_text("model = dict(type='mmhmc.CodecModel', codec=dict("
                    "type='mmhmc.MeanScaleHyperprior', hidden_channels=99, "
                    f"latent_channels={sizes['latent_channels']}))")
    return path


SIZES = 'model.codec.hidden_channels=8'


class Setting:
    """Something that only code can bring back."""


# Publishing.


def test_weights_and_versions_are_kept_and_the_rest_is_not(run, tmp_path):
    state_dict = nn.BatchNorm2d(2).state_dict()
    meta = dict(epoch=3, dataset_meta=dict(classes=('a', )))
    torch.save(
        dict(state_dict=state_dict, optimizer=dict(lr=1), meta=meta),
        tmp_path / 'a.pth')
    run('publish', tmp_path / 'a.pth', tmp_path / 'a.safetensors')
    checkpoint = read_checkpoint(tmp_path / 'a.safetensors')
    assert checkpoint['meta'] == dict(dataset_meta=dict(classes=['a']))
    assert set(checkpoint['state_dict']) == set(state_dict)
    for key, value in state_dict.items():
        assert checkpoint['state_dict'][key].equal(value)
    assert checkpoint['state_dict']._metadata == state_dict._metadata


def test_row_can_be_read_and_names_the_file(run, config, tmp_path, capsys):
    codec = tiny_codec('MeanScaleHyperprior')
    torch.save(
        dict(state_dict=CodecModel(codec).state_dict()), tmp_path / 'a.pth')
    out = tmp_path / 'zoo/tiny_0.01.safetensors'
    run('publish', tmp_path / 'a.pth', out, '--config', config,
        '--cfg-options', SIZES)
    row, = yaml.safe_load(capsys.readouterr().out)
    assert row['Name'] == 'tiny_0.01'
    assert row['Config'] == str(config)
    assert row['Options'] == {'model.codec.hidden_channels': 8}
    assert row['Size'] == out.stat().st_size
    assert row['SHA256'] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert row['Metadata']['Codec Parameters'] == sum(
        p.numel() for p in codec.parameters())
    assert [file.name for file in out.parent.iterdir()] == [out.name]
    x = smooth_images(1, 64, 64)
    published = load_codec(config, out, cfg_options=row['Options'])
    assert published.compress(x) == codec.compress(x)


def test_same_weights_have_the_same_hash(tmp_path):
    weights = only_weights(dict(state_dict=nn.Linear(3, 2).state_dict()))
    rows = [
        publish_weights(
            weights, tmp_path / f'{n}.safetensors', dataset_meta=dict(n=1))
        for n in range(6)
    ]
    assert len({row['SHA256'] for row in rows}) == 1


def test_tables_are_made_where_there_are_none(config, tmp_path):
    codec = tiny_codec('MeanScaleHyperprior')
    tables = {k: v for k, v in codec.state_dict().items() if '_cdf' in k}
    codec.drop_entropy_tables()
    weights = only_weights(CodecModel(codec).state_dict())
    out = tmp_path / 'out.safetensors'
    publish_weights(weights, out, str(config),
                    {'model.codec.hidden_channels': 8})
    published = read_checkpoint(out)['state_dict']
    assert set(published) == set(weights)
    for key, value in tables.items():
        assert value.numel() and published[f'codec.{key}'].equal(value)


def test_adapter_alone_leaves_the_codec_where_it_is(config, tmp_path):
    torch.save(tiny_codec('MeanScaleHyperprior').state_dict(),
               tmp_path / 'codec.pth')
    adapter = DynamicAdaptation(4)
    weights = OrderedDict(('backbone.adapter.' + key, value)
                          for key, value in adapter.state_dict().items())
    options = {
        'model.codec.hidden_channels': 8,
        'model.codec.init_cfg.type': 'Pretrained',
        'model.codec.init_cfg.checkpoint': str(tmp_path / 'codec.pth')
    }
    out = tmp_path / 'out.safetensors'
    row = publish_weights(weights, out, str(config), options)
    assert set(read_checkpoint(out)['state_dict']) == set(weights)
    assert row['Metadata']['Codec Parameters'] > 0


def behind_a_backbone(state):
    """Weights of a codec with another encoder, beside an adapter's."""
    found = OrderedDict()
    for key, value in state.items():
        key = key.removeprefix('codec.')
        moved = value + 1 if key.startswith('g_a.') else value
        found[f'backbone.codec.{key}'] = moved
    found['backbone.adapter.weight'] = torch.ones(3)
    return found


def test_weights_that_a_model_of_the_zoo_has_are_left_there(
        run, zoo, tmp_path):
    weights = behind_a_backbone(read_checkpoint('mmhmc://tiny')['state_dict'])
    torch.save(weights, tmp_path / 'a.pth')
    out = tmp_path / 'a.safetensors'
    run('publish', tmp_path / 'a.pth', out, '--based-on', 'mmhmc://tiny')
    with safe_open(out, 'pt') as content:
        kept = set(content.keys())
    assert kept == {
        key
        for key in weights if key.split('.')[1:3] == ['codec', 'g_a']
    } | {'backbone.adapter.weight'}
    state = read_checkpoint(out)['state_dict']
    assert set(state) == set(weights)
    assert all(value.equal(weights[key]) for key, value in state.items())


def test_what_a_file_is_based_on_must_be_the_same_and_of_the_zoo(
        run, zoo, tmp_path):
    weights = behind_a_backbone(read_checkpoint('mmhmc://tiny')['state_dict'])
    others, based_on = without_base(weights, 'tiny')
    assert based_on['name'] == 'mmhmc://tiny'
    out = tmp_path / 'a.safetensors'
    for key, value, match in [
        ('sha256', '0' * 64, 'has SHA-256 .* expected 0000'),
        ('name', 'a/b.pth', "on 'a/b.pth'; expected a model"),
        ('prefix', 3, 'expected a dict with the texts'),
    ]:
        write_safetensors(others, out, based_on={**based_on, key: value})
        with pytest.raises(ValueError, match=match):
            read_checkpoint(out)


def test_weights_that_have_nothing_of_the_zoo_or_no_tables_are_refused(zoo):
    weights = behind_a_backbone(read_checkpoint('mmhmc://tiny')['state_dict'])
    moved = OrderedDict((key, value + 1) for key, value in weights.items())
    with pytest.raises(ValueError, match='No weight of the checkpoint is one'):
        without_base(moved, 'mmhmc://tiny')
    for key in [key for key in weights if key.endswith('_quantized_cdf')]:
        del weights[key]
    with pytest.raises(ValueError, match='no entropy tables, as .*_quantized'):
        without_base(weights, 'mmhmc://tiny')


def test_weights_that_do_not_fit_the_config_leave_no_file(config, tmp_path):
    weights = only_weights(
        CodecModel(tiny_codec('MeanScaleHyperprior')).state_dict())
    with pytest.raises(ValueError, match='does not fit the Mean'):
        publish_weights(weights, tmp_path / 'a.safetensors', str(config))
    assert [file.name for file in tmp_path.iterdir()] == ['config.py']


def test_only_the_parts_that_are_asked_for_are_kept():
    state = {
        key: torch.ones(1)
        for key in ('backbone.codec.a', 'backbone.codec2.a',
                    'backbone.adapter.a', 'neck.a', 'ema_backbone_a')
    }
    assert list(only_weights(dict(state_dict=state))) == list(state)[:-1]
    parts = ['backbone.codec', 'backbone.adapter']
    assert list(only_weights(
        state, parts)) == ['backbone.codec.a', 'backbone.adapter.a']
    with pytest.raises(ValueError, match="no part 'head'; .*'backbone', 'nec"):
        only_weights(state, ['head'])
    with pytest.raises(ValueError, match='holds no weights'):
        only_weights(dict(state_dict={}))


def test_half_precision_spares_vectors_and_probabilities(
        run, tmp_path, capsys):
    codec = tiny_codec('MeanScaleHyperprior')
    torch.save(codec.state_dict(), tmp_path / 'a.pth')
    out = tmp_path / 'a.safetensors'
    run('publish', tmp_path / 'a.pth', out, '--half', '-0.01 dB on Kodak')
    row, = yaml.safe_load(capsys.readouterr().out)
    assert row['Metadata']['Half precision'] == '-0.01 dB on Kodak'
    state = read_checkpoint(out)['state_dict']
    for key, value in codec.state_dict().items():
        is_half = key.split('.')[0] in ('g_a', 'g_s', 'h_a', 'h_s') and \
            value.ndim > 1
        assert state[key].dtype == (torch.half if is_half else value.dtype)
    load_codec(
        dict(
            codec=dict(
                type='mmhmc.MeanScaleHyperprior',
                **CODECS['MeanScaleHyperprior'])), out)


def test_versions_are_of_modules_that_have_weights():
    model = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU(), nn.BatchNorm2d(1))
    kept = only_weights(model.state_dict(), ['2'])
    assert kept._metadata == {'': {'version': 1}, '2': {'version': 2}}


def test_half_precision_needs_its_effect_and_its_range(run, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run('publish', 'a.pth', 'a.safetensors', '--half', ' ')
    assert '--half needs its measured effect' in capsys.readouterr().err
    with pytest.raises(ValueError, match="'a' does not fit into float16"):
        in_half(OrderedDict(a=torch.full((1, 1), 1e6)))


def test_eight_bits_are_of_large_weights_and_half_a_step_off_at_most(
        run, tmp_path, capsys):
    cfg = dict(
        type='mmhmc.MeanScaleHyperprior',
        hidden_channels=32,
        latent_channels=32)
    codec = MODELS.build(cfg)
    torch.save(codec.state_dict(), tmp_path / 'a.pth')
    out = tmp_path / 'a.safetensors'
    run('publish', tmp_path / 'a.pth', out, '--eight-bits', '-0.1 dB on Kodak')
    row, = yaml.safe_load(capsys.readouterr().out)
    assert row['Metadata']['Eight bits'] == '-0.1 dB on Kodak'
    state = read_checkpoint(out)['state_dict']
    transforms = [(key, value) for key, value in codec.state_dict().items()
                  if key.split('.')[0] in ('g_a', 'g_s', 'h_a', 'h_s')]
    large = {key for key, value in transforms if value.numel() >= 5000}
    assert 0 < len(large) < len(transforms)
    for key, value in transforms:
        if key not in large:
            half = value.half() if value.ndim > 1 else value
            assert torch.equal(state[key], half)
            assert state[key].dtype == half.dtype
            continue
        steps = value.abs().flatten(1).amax(1) / 127
        error = (state[key] - value).abs().flatten(1).amax(1)
        assert (error <= 0.501 * steps).all() and error.any()
    load_codec(dict(codec=cfg), out)


def test_parts_may_stay_out_of_eight_bits(run, tmp_path, capsys):
    state = {
        f'{name}.weight': torch.randn(80, 80)
        for name in ('a.conv', 'a.conv2', 'b')
    }
    torch.save(state, tmp_path / 'a.pth')
    file, out = tmp_path / 'a.pth', tmp_path / 'a.safetensors'
    run('publish', file, out, '--eight-bits', 'none', '--but', 'a.conv,b')
    published = read_checkpoint(out)['state_dict']
    stayed = {
        key
        for key, value in state.items() if published[key].equal(value.half())
    }
    assert stayed == {'a.conv.weight', 'b.weight'}
    with pytest.raises(ValueError, match="No weight is of the part 'c'"):
        run('publish', file, out, '--force', '--eight-bits', 'none', '--but',
            'c')
    with pytest.raises(SystemExit):
        run('publish', file, out, '--but', 'b')
    assert '--but needs --eight-bits' in capsys.readouterr().err


def test_large_file_is_told(run, tmp_path, capsys):
    torch.save(dict(a=torch.ones(2_000_001)), tmp_path / 'a.pth')
    run('publish', tmp_path / 'a.pth', tmp_path / 'a.safetensors')
    assert 'has 8.0 MB, more than the 8' in capsys.readouterr().err


def test_bare_weights_that_share_memory_are_converted(run, tmp_path):
    weight = torch.rand(3, 2)
    torch.save(dict(a=weight, b=weight.T), tmp_path / 'a.pth')
    run('publish', tmp_path / 'a.pth', tmp_path / 'a.safetensors')
    state_dict = read_checkpoint(tmp_path / 'a.safetensors')['state_dict']
    assert state_dict['a'].equal(weight)
    assert state_dict['b'].equal(weight.T)


@pytest.mark.parametrize('tool', ['publish', 'host'])
def test_code_is_run_only_when_it_is_trusted(run, tmp_path, tool):
    content = dict(state_dict=dict(a=torch.ones(1)), meta=Setting())
    torch.save(content, tmp_path / 'a.pth')
    out = tmp_path / 'a.safetensors'
    with pytest.raises(ValueError, match=r'asks for `\S*Setting`.* --trust'):
        run(tool, tmp_path / 'a.pth', out)
    assert not out.exists()
    run(tool, '--trust', tmp_path / 'a.pth', out)
    assert read_checkpoint(out)['state_dict'] == dict(a=torch.ones(1))


@pytest.mark.parametrize('tool, more', [('publish', []), ('host', []),
                                        ('compressai', ['--codec', 'c']),
                                        ('authors', ['--from', 'mpa'])])
def test_out_has_the_ending_by_which_it_is_read(run, tmp_path, capsys, tool,
                                                more):
    with pytest.raises(SystemExit):
        run(tool, tmp_path / 'a.pth', tmp_path / 'b.pth', *more)
    assert 'must end in .safetensors' in capsys.readouterr().err


# from_host.py


def test_backbone_of_a_host_goes_behind_a_codec(run, tmp_path):
    host = nn.ModuleDict(
        dict(backbone=nn.BatchNorm2d(2), neck=nn.Linear(1, 1)))
    state = host.state_dict()
    state['ema_backbone_weight'] = torch.ones(2)
    torch.save(
        dict(state_dict=state, ema_state_dict=state), tmp_path / 'a.pth')
    out = tmp_path / 'a.safetensors'
    run('host', tmp_path / 'a.pth', out, '--rename',
        'backbone.=backbone.backbone.')
    wrapped = nn.ModuleDict(
        dict(
            backbone=nn.ModuleDict(dict(backbone=nn.BatchNorm2d(2))),
            neck=nn.Linear(1, 1)))
    read = read_checkpoint(out)['state_dict']
    wrapped.load_state_dict(read, strict=True)
    assert read._metadata['backbone.backbone'] == dict(version=2)


def test_weights_of_a_backbone_alone_get_a_prefix(run, tmp_path):
    torch.save(nn.Linear(1, 1).state_dict(), tmp_path / 'a.pth')
    out = tmp_path / 'a.safetensors'
    run('host', tmp_path / 'a.pth', out, '--rename', '=backbone.backbone.')
    assert set(read_checkpoint(out)['state_dict']) == {
        'backbone.backbone.weight', 'backbone.backbone.bias'
    }


def test_renaming_that_changes_nothing_is_refused(run, tmp_path, capsys):
    torch.save(nn.Linear(1, 1).state_dict(), tmp_path / 'a.pth')
    paths = tmp_path / 'a.pth', tmp_path / 'a.safetensors'
    with pytest.raises(ValueError, match="No weight begins with 'b.'"):
        run('host', *paths, '--rename', 'b.=c.')
    with pytest.raises(SystemExit):
        run('host', *paths, '--rename', 'b.')
    assert 'must be OLD=NEW' in capsys.readouterr().err


# from_compressai.py


@pytest.fixture(scope='module')
def foreign():
    """A codec of CompressAI, as its users have it."""
    pytest.importorskip('compressai')
    from compressai.models import MeanScaleHyperprior
    torch.manual_seed(0)
    model = MeanScaleHyperprior(8, 8).eval()
    model.update()
    return model


@pytest.mark.parametrize('form', ['example', 'parallel', 'zoo', 'no_tables'])
def test_codec_of_compressai_decodes_to_the_same_image(run, foreign, config,
                                                       tmp_path, form):
    state = foreign.state_dict()
    if form == 'parallel':
        state = {f'module.{key}': value for key, value in state.items()}
    if form == 'zoo':
        for kind, old in dict(
                matrix='matrices', bias='biases', factor='factors').items():
            for key in [key for key in state if f'._{kind}' in key]:
                state[f'entropy_bottleneck._{old}.{key[-1]}'] = state.pop(key)
    if form == 'no_tables':
        for key, value in state.items():
            if key.endswith(('_quantized_cdf', '_cdf_length', '_offset')):
                state[key] = value.new_zeros(0)
    saved = state if form == 'zoo' else dict(
        epoch=1, state_dict=state, loss=torch.tensor(1.), optimizer={})
    torch.save(saved, tmp_path / 'a.pth.tar')
    out = tmp_path / 'a.safetensors'
    run('compressai', tmp_path / 'a.pth.tar', out, '--codec', config,
        '--cfg-options', SIZES)
    codec = load_codec(
        config, out, cfg_options={'model.codec.hidden_channels': 8})
    x = smooth_images(1, 64, 128)
    with torch.no_grad():
        expected = foreign(x)['x_hat'].clamp(0, 1)
    # Means are in integers here, and in floating point there.
    torch.testing.assert_close(
        codec.decompress(codec.compress(x)), expected, rtol=0, atol=1e-3)
    codec.portable = False
    assert codec.decompress(codec.compress(x)).equal(expected)
