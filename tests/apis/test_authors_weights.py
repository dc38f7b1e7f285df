"""Checkpoints of the authors' own MPA and TinyLIC become ours."""
import re
import runpy
from pathlib import Path

import pytest
import torch
from conftest import CODECS, smooth_images

from mmhmc import cli
from mmhmc.apis import load_codec
from mmhmc.apis.authors_weights import (TASKS, export_authors_weights,
                                        read_authors_weights)
from mmhmc.checkpoints import read_checkpoint
from mmhmc.codecs import build_codec
from mmhmc.datasets import write_image
from mmhmc.losses import PatchDiscriminator
from mmhmc.structures import CodingCondition

TOOL = Path(__file__).parents[2] / 'tools/model_converters/from_authors.py'
KINDS = dict(
    mpa=dict(CODECS['MPA'], type='mmhmc.MPA', tasks=list(TASKS)),
    mpa_enc=dict(CODECS['MPA'], type='mmhmc.MPA'),
    tinylic=dict(CODECS['TinyLIC'], type='mmhmc.TinyLIC', latent_channels=32))
METHOD = dict(mpa='mpa', mpa_enc='mpa', tinylic='tinylic')
every_kind = pytest.mark.parametrize('kind', KINDS)


def their_name(name):
    """What the authors' code calls a weight of ours."""
    parts = name.split('.')
    number = dict(mse='0', cls='1', seg='2', low='0')
    if parts[0] in ('g_a', 'g_s', 'h_a', 'h_s'):
        layer, parts = f'{parts[0]}{parts[1]}', parts[2:]
        if parts[0] == 'blocks':
            # blocks.I.REST
            if parts[2] == 'mlp':
                parts[3] = {'0': 'fc1', '2': 'fc2'}[parts[3]]
            return '.'.join([layer, 'residual_group', *parts])
        if parts[0] == 'sides':
            _, task, index, *rest = parts
            place = '.'.join(rest[:-1])
            place = {'0': 'fc1.0', '1.0': 'fc1.1', '1.2': 'fc2'}[place]
            if layer.startswith('g_s'):
                place = f'mlp_list.{number[task]}.{place}'
            return (f'{layer}.residual_group.blocks.{index}.fastmlp.{place}.'
                    f'{rest[-1]}')
        if parts[0] == 'predictors':
            _, task, part, *rest = parts
            part = dict(local='in_conv', score='out_conv', shift='shift')[part]
            predictor = 'score_predictor.0' if layer.startswith('g_a') else \
                f'score_predictor.{number[task]}.0'
            return '.'.join([layer, 'residual_group', predictor, part, *rest])
        return '.'.join([layer, *parts])
    if parts[0] == 'spatial_context':
        index = dict(zip(('y0.0', 'y0.1', 'y0.2', 'y1.0', 'y2.0'),
                         '12345'))['.'.join(parts[1:3])]
        return f'sc_transform_{index}.{parts[3]}'
    if parts[0] == 'entropy_parameters':
        return '.'.join([f'entropy_parameters_{int(parts[1][1:]) + 1}'] +
                        parts[2:])
    if parts[0] == 'channel_context':
        return '.'.join(['cc_transforms', parts[1][1:], *parts[2:]])
    return dict(
        gain='Gain',
        inverse_gain='InverseGain',
        hyper_gain='HyperGain',
        inverse_hyper_gain='InverseHyperGain').get(name, name)


def their_discriminator_name(name):
    copy, part, *rest = name.removeprefix('copies.').split('.')
    if part == 'layers':
        part, rest = f'conv{int(rest[0]) // 2 + 1}', rest[1:]
    part = dict(context='context_conv', head='conv_out').get(part, part)
    if part == 'context_conv':
        rest = rest[1:]
    last = '.'.join(rest)
    last = {
        'parametrizations.weight.original': 'weight_orig',
        'parametrizations.weight.0._u': 'weight_u',
        'parametrizations.weight.0._v': 'weight_v'
    }.get(last, last)
    return f'{part}.{copy}.{last}'


@pytest.fixture(scope='module')
def make():
    """Random codecs, each with its weights as the authors save them."""
    made = {}

    def build(kind):
        if kind not in made:
            torch.manual_seed(3)
            codec = build_codec(dict(KINDS[kind])).eval()
            with torch.no_grad():
                for name, weight in codec.named_parameters():
                    # Those of the factorised prior are a distribution's.
                    if not name.startswith('entropy_bottleneck._'):
                        weight.add_(0.02 * torch.randn_like(weight))
                quantiles = codec.entropy_bottleneck.quantiles
                quantiles.add_(0.3 * torch.rand(len(quantiles), 1, 1))
            stale = {
                name: torch.full((3, 4), 7, dtype=torch.int32)
                for name in codec.state_dict()
                if name.endswith('_quantized_cdf')
            }
            codec.update_entropy_tables(update_quantiles=False)
            theirs = {
                f'module.{their_name(name)}': value.clone()
                for name, value in {
                    **codec.state_dict(),
                    **stale
                }.items()
            }
            for name, value in codec.named_buffers():
                if name.startswith('spatial_context.'):
                    theirs[f'module.{their_name(name)}'] = value.clone()
            made[kind] = codec, theirs
        return made[kind]

    return build


def test_layout_is_the_authors(make):
    names = {name.removeprefix('module.') for name in make('mpa')[1]}
    for name in ('g_a0.weight',
                 'g_a1.residual_group.blocks.0.fastmlp.fc1.0.weight',
                 'g_a1.residual_group.score_predictor.0.in_conv.1.bias',
                 'g_s7.bias', 'sc_transform_5.mask', 'InverseHyperGain',
                 'g_s2.residual_group.blocks.0.fastmlp.mlp_list.2.fc2.weight',
                 'g_s2.residual_group.score_predictor.1.0.shift',
                 'entropy_parameters_4.0.weight', 'cc_transforms.3.4.bias',
                 'h_s2.residual_group.blocks.0.mlp.fc1.weight'):
        assert name in names
    assert not {n for n in names if re.search(r'sides|predictors\.|y\d', n)}


def conditions(kind):
    if kind == 'tinylic':
        return [None]
    found = [CodingCondition(quality=q) for q in (1, 3.25, 8)]
    if kind == 'mpa':
        found += [
            CodingCondition(quality=4, task=task, alpha=(q_task - 1) / 7)
            for task, q_task in zip(TASKS, (8, 3, 5))
        ]
    return found


@every_kind
@pytest.mark.parametrize('form', ['run', 'bare'])
def test_exported_codec_codes_alike_to_the_last_bit(make, kind, form,
                                                    tmp_path):
    codec, theirs = make(kind)
    if form == 'bare':
        theirs = {
            name.removeprefix('module.'): value
            for name, value in theirs.items()
        }
    saved = theirs if form == 'bare' else dict(
        epoch=3, state_dict=theirs, optimizer=dict(state={}))
    torch.save(saved, tmp_path / 'a.pth.tar')
    config, out = export_authors_weights(tmp_path / 'a.pth.tar',
                                         tmp_path / 'a.safetensors',
                                         METHOD[kind])
    ours = load_codec(config)
    assert type(ours) is type(codec) and ours.depths == codec.depths
    state = ours.state_dict()
    assert state.keys() == codec.state_dict().keys()
    for name, value in codec.state_dict().items():
        assert torch.equal(state[name], value), name
    x = smooth_images(1, 64, 128)
    for condition in conditions(kind):
        stream, = codec.compress(x, condition)
        assert ours.compress(x, condition) == [stream]
        assert torch.equal(
            ours.decompress([stream], condition),
            codec.decompress([stream], condition))


@every_kind
def test_tables_come_with_the_weights(make, kind, tmp_path, monkeypatch):
    codec, theirs = make(kind)
    torch.save(theirs, tmp_path / 'a.pth')
    config, _ = export_authors_weights(tmp_path / 'a.pth',
                                       tmp_path / 'a.safetensors')
    solved = []
    monkeypatch.setattr(
        type(codec), 'update_entropy_tables', lambda *args: solved.append(1))
    load_codec(config)
    assert solved == []


@every_kind
def test_model_is_found_from_the_names(make, kind, tmp_path):
    torch.save(make(kind)[1], tmp_path / 'a.pth')
    weights = read_authors_weights(tmp_path / 'a.pth')
    assert weights.method == METHOD[kind]
    assert weights.codec.get('tasks', []) == KINDS[kind].get('tasks', [])
    other = 'tinylic' if weights.method == 'mpa' else 'mpa'
    with pytest.raises(
            ValueError, match=f'weights of {METHOD[kind]}, not of {other}'):
        export_authors_weights(tmp_path / 'a.pth', tmp_path / 'a.safetensors',
                               other)
    assert not (tmp_path / 'a.safetensors').exists()


@pytest.mark.parametrize('program', ['command', 'tool'])
@pytest.mark.parametrize('kind', ['mpa_enc', 'tinylic'])
def test_programs_export_and_warn(make, kind, program, tmp_path, monkeypatch,
                                  capsys):
    torch.save(make(kind)[1], tmp_path / 'a.pth')
    file, out = str(tmp_path / 'a.pth'), str(tmp_path / 'b.safetensors')
    chosen = ['--from', METHOD[kind]]
    if program == 'command':
        assert cli.main(['export', 'authors', *chosen, file, '-o', out]) == 0
    else:
        monkeypatch.setattr('sys.argv', ['from_authors', file, out, *chosen])
        monkeypatch.setattr('mmhmc.machine.tune_cpu', lambda: None)
        with pytest.raises(SystemExit, match='0'):
            runpy.run_path(str(TOOL), run_name='__main__')
    said = capsys.readouterr()
    assert said.out.split() == [str(tmp_path / 'b.py'), out]
    assert ('before have the same names' in said.err) == (kind == 'tinylic')
    image, coded = tmp_path / 'x.png', str(tmp_path / 'coded')
    write_image(image, smooth_images(1, 64, 64)[0])
    codec = ['--model', str(tmp_path / 'b.py')]
    assert cli.main(['encode', str(image), '-o', coded, *codec]) == 0
    assert cli.main(['decode', coded, '-o',
                     str(tmp_path / 'out'), *codec]) == 0


def test_attention_without_bias_is_another_network(make, tmp_path):
    _, theirs = make('tinylic')
    less = {k: v for k, v in theirs.items() if not k.endswith('.rpb')}
    torch.save(less, tmp_path / 'a.pth')
    with pytest.raises(ValueError, match='another network: .* no relative'):
        export_authors_weights(tmp_path / 'a.pth', tmp_path / 'a.safetensors')


def test_foreign_weights_are_refused(tmp_path):
    torch.save(torch.nn.Linear(1, 1).state_dict(), tmp_path / 'a.pth')
    with pytest.raises(ValueError, match="no weights of the authors' MPA"):
        read_authors_weights(tmp_path / 'a.pth')
    with pytest.raises(ValueError, match='must end in .safetensors'):
        export_authors_weights(tmp_path / 'a.pth', tmp_path / 'b.pth')


def test_missing_weight_is_named(make, tmp_path):
    _, theirs = make('mpa_enc')
    less = {
        k: v
        for k, v in theirs.items() if k != 'module.cc_transforms.0.0.'
        'bias'
    }
    torch.save(less, tmp_path / 'a.pth')
    with pytest.raises(ValueError, match='missing channel_context.y0.0.bias'):
        export_authors_weights(tmp_path / 'a.pth', tmp_path / 'a.safetensors')


def test_discriminator_comes_along(make, tmp_path):
    codec, theirs = make('mpa_enc')
    discriminator = PatchDiscriminator(32, 8, 4, (4, 8)).eval()
    state = {
        their_discriminator_name(name): value
        for name, value in discriminator.state_dict().items()
    }
    assert {
        'context_conv.7.weight', 'conv1.0.weight_orig', 'conv2.3.weight_u',
        'conv2.3.bias', 'conv_out.0.bias'
    } <= state.keys()
    torch.save(dict(state_dict=theirs, state_dict_D=state), tmp_path / 'a.pth')
    config, out = export_authors_weights(tmp_path / 'a.pth',
                                         tmp_path / 'a.safetensors')
    saved = read_checkpoint(out)['state_dict']
    again = PatchDiscriminator(32, 8, 4, (4, 8)).eval()
    again.load_state_dict({
        name.removeprefix('discriminator.'): value
        for name, value in saved.items() if name.startswith('discriminator.')
    })
    x, y_hat = smooth_images(1, 64, 64), torch.randn(1, 32, 4, 4)
    assert torch.equal(again(x, y_hat, 3), discriminator(x, y_hat, 3))
    x = smooth_images(1, 64, 64)
    assert load_codec(config).compress(x) == codec.compress(x)
    del state['conv2.3.bias']
    torch.save(dict(state_dict=theirs, state_dict_D=state), tmp_path / 'a.pth')
    with pytest.raises(ValueError, match='`state_dict_D` of .*missing copies'):
        export_authors_weights(tmp_path / 'a.pth', tmp_path / 'a.safetensors')
    torch.save(
        dict(state_dict=theirs, state_dict_D=dict(a=torch.ones(1))),
        tmp_path / 'a.pth')
    with pytest.raises(ValueError, match="no weights of MPA's discriminator"):
        export_authors_weights(tmp_path / 'a.pth', tmp_path / 'a.safetensors')
