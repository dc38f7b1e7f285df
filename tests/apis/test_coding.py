"""Folders of images to bitstreams and back, interrupted or not."""
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import smooth_images, tiny_codec

from mmhmc.apis.codec_loading import CodecSource
from mmhmc.apis.coding import decode_bitstreams, encode_images
from mmhmc.apis.stream_info import describe_bitstream
from mmhmc.bitstream import Bitstream
from mmhmc.datasets import read_image, read_note, write_image
from mmhmc.refinement import LatentRefinement
from mmhmc.structures import CodingCondition

ROOT = Path(__file__).parents[2]
CONFIG = dict(
    codec=dict(
        type='mmhmc.MeanScaleHyperprior', hidden_channels=8,
        latent_channels=8))
SIZES = {'a.png': (40, 52), 'b.png': (33, 65), 'sub/c.png': (64, 64)}


@pytest.fixture(scope='module')
def home(tmp_path_factory):
    """Folder with weights, a config and images."""
    torch.manual_seed(0)
    home = tmp_path_factory.mktemp('coding')
    torch.save(
        tiny_codec('MeanScaleHyperprior').state_dict(), home / 'weights.pth')
    (home / 'config.py').write_text(f'codec = {CONFIG["codec"]!r}\n')
    for name, size in SIZES.items():
        path = home / 'images' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, smooth_images(1, *size)[0])
    return home


@pytest.fixture(scope='module')
def source(home):
    return CodecSource(str(home / 'config.py'), str(home / 'weights.pth'))


@pytest.fixture
def coded(home, source, tmp_path):
    """A folder of streams, with the report of how it was made."""
    return encode_images([home / 'images'], tmp_path / 'coded', source)


def rows_of(folder, name='encode'):
    lines = (folder / f'{name}.jsonl').read_text().splitlines()
    return [json.loads(line) for line in lines]


def content_of(folder, suffix):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob(f'*{suffix}')) if path.is_file()
    }


def states(report):
    return [(o.pair.output, o.was_done, o.error) for o in report.outcomes]


def test_files_are_what_the_codec_writes(home, source, coded, tmp_path):
    codec = source.load()
    files = content_of(tmp_path / 'coded', '')
    files.pop('encode.jsonl')
    assert files == {
        f'{name}.hmc':
        codec.compress(read_image(home / 'images' / name)[None])[0].to_bytes()
        for name in SIZES
    }
    assert [outcome.error for outcome in coded.outcomes] == [''] * 3


def test_decoded_images_are_those_of_the_codec(source, coded, tmp_path):
    codec = source.load()
    report = decode_bitstreams([tmp_path / 'coded'], tmp_path / 'out', source)
    assert not report.failed
    for name in SIZES:
        data = (tmp_path / 'coded' / f'{name}.hmc').read_bytes()
        x_hat = codec.decompress([Bitstream.from_bytes(data)])[0]
        assert torch.equal(
            read_image(tmp_path / 'out' / name),
            x_hat.mul(255).round() / 255)


def test_log_has_the_numbers_of_each_image(home, coded, tmp_path):
    rows = rows_of(tmp_path / 'coded')
    assert [row['output'] for row in rows] == [f'{name}.hmc' for name in SIZES]
    for row, (name, size) in zip(rows, SIZES.items()):
        assert row['file'] == str(home / 'images' / name)
        file = tmp_path / 'coded' / row['output']
        assert row['num_bytes'] == file.stat().st_size
        assert (row['height'], row['width']) == size
        assert row['bpp'] == 8 * row['num_bytes'] / (size[0] * size[1])
        stream = Bitstream.from_bytes(file.read_bytes())
        assert row['streams'] == {
            key: len(data)
            for key, data in stream.streams.items()
        }
        assert row['seconds'] > 0 and 'psnr' not in row


def test_psnr_is_that_of_the_decoded_file(home, source, tmp_path):
    encode_images([home / 'images'], tmp_path / 'c', source, psnr=True)
    decode_bitstreams([tmp_path / 'c'], tmp_path / 'd', source)
    for row, name in zip(rows_of(tmp_path / 'c'), SIZES):
        x, x_hat = (
            read_image(folder / name).double()
            for folder in (home / 'images', tmp_path / 'd'))
        expected = -10 * (x - x_hat).square().mean().log10().item()
        assert row['psnr'] == pytest.approx(expected, abs=1e-4)


def test_report_has_totals_and_means(home, source, tmp_path):
    report = encode_images([home / 'images', tmp_path / 'no.png'],
                           tmp_path / 'c',
                           source,
                           psnr=True)
    rows = rows_of(tmp_path / 'c')
    table = report.table()
    total = sum(row['num_bytes'] for row in rows)
    pixels = sum(h * w for h, w in SIZES.values())
    assert '4: 3 coded, 0 done before, 1 failed' in table
    assert f'bytes    {total}\n' in table
    assert f'{sum(row["bpp"] for row in rows) / 3:.4f} mean of' in table
    assert f'{8 * total / pixels:.4f} over all pixels' in table
    mean = sum(row['psnr'] for row in rows) / 3
    assert f'PSNR     {mean:.4g} dB, mean of 3' in table


# Going on, and what must not be overwritten.


def test_second_run_codes_nothing_and_keeps_the_log(home, source, coded,
                                                    tmp_path):
    before = content_of(tmp_path / 'coded', '')
    times = {p: p.stat().st_mtime_ns for p in tmp_path.rglob('*.hmc')}
    report = encode_images([home / 'images'], tmp_path / 'coded', source)
    assert states(report) == [(f'{name}.hmc', True, '') for name in SIZES]
    assert content_of(tmp_path / 'coded', '') == before
    assert times == {p: p.stat().st_mtime_ns for p in tmp_path.rglob('*.hmc')}
    assert report.table().startswith('files    3: 0 coded, 3 done before')


def test_second_decoding_run_decodes_nothing(source, coded, tmp_path):
    for was_done in (False, True):
        report = decode_bitstreams([tmp_path / 'coded'], tmp_path / 'd',
                                   source)
        assert states(report) == [(name, was_done, '') for name in SIZES]
    assert len(rows_of(tmp_path / 'd', 'decode')) == 3


def test_interrupted_run_goes_on_where_it_stopped(home, source, tmp_path,
                                                  monkeypatch):
    folder = tmp_path / 'c'
    from mmhmc.apis import coding
    read, count = coding.read_image, iter(range(9))

    def read_two(path):
        if next(count) == 2:
            raise KeyboardInterrupt
        return read(path)

    monkeypatch.setattr(coding, 'read_image', read_two)
    with pytest.raises(KeyboardInterrupt):
        encode_images([home / 'images'], folder, source)
    assert len(rows_of(folder)) == len(content_of(folder, '.hmc')) == 2
    # As if it was stopped while writing the third, and the log.
    (folder / 'sub').mkdir(exist_ok=True)
    with (folder / 'encode.jsonl').open('a') as log:
        log.write('{"file": "')
    monkeypatch.undo()
    report = encode_images([home / 'images'], folder, source)
    assert [o.was_done for o in report.outcomes] == [True, True, False]
    assert len(rows_of(folder)) == len(content_of(folder, '.hmc')) == 3
    assert not list(folder.rglob('.*'))


def test_two_runs_may_write_one_folder(home, source, coded, tmp_path):
    folder = tmp_path / 'both'
    with ThreadPoolExecutor(2) as pool:
        reports = list(
            pool.map(
                lambda _: encode_images(
                    [home / 'images'] * 2, folder, source, force=True),
                range(2)))
    assert [report.failed for report in reports] == [[], []]
    assert content_of(folder, '.hmc') == content_of(tmp_path / 'coded', '.hmc')
    assert len(rows_of(folder)) == len(SIZES)
    assert not list(folder.rglob('.*'))


def test_lost_log_is_made_again_from_the_files(home, source, coded, tmp_path):
    path = tmp_path / 'coded' / 'encode.jsonl'
    before = rows_of(tmp_path / 'coded')
    path.unlink()
    encode_images([home / 'images'], tmp_path / 'coded', source)
    after = rows_of(tmp_path / 'coded')
    for row in before + after:
        # It was coded again, to be compared.
        assert row.pop('seconds') > 0
    assert after == before


def test_psnr_is_added_without_coding_again(home, source, coded, tmp_path):
    before = rows_of(tmp_path / 'coded')
    report = encode_images([home / 'images'],
                           tmp_path / 'coded',
                           source,
                           psnr=True)
    assert all(outcome.was_done for outcome in report.outcomes)
    rows = rows_of(tmp_path / 'coded')
    assert all(row.pop('psnr') > 0 for row in rows)
    assert rows == before


def test_other_file_is_refused_by_name_and_replaced_by_force(
        home, source, tmp_path):
    path = tmp_path / 'a.png.hmc'
    path.write_bytes(b'precious')
    report = encode_images([home / 'images'], tmp_path, source)
    outcome, = report.failed
    assert 'a.png.hmc exists and is damaged or no bitst' in outcome.error
    assert '--force' in outcome.error and path.read_bytes() == b'precious'
    report = encode_images([home / 'images'], tmp_path, source, force=True)
    assert not report.failed and not any(o.was_done for o in report.outcomes)
    assert describe_bitstream(path)['height'] == 40


def change_weights(home, tmp_path, key):
    """A source with one weight changed."""
    state = torch.load(home / 'weights.pth')
    state[key][0] += 0.5
    torch.save(state, tmp_path / 'other.pth')
    return CodecSource(CONFIG, str(tmp_path / 'other.pth'))


@pytest.mark.parametrize('key, words', [
    ('h_s.0.bias', 'exists, but its weights is'),
    ('g_a.0.bias', 'or with other weights or another precision'),
])
def test_stream_of_other_weights_is_refused(home, coded, tmp_path, key, words):
    report = encode_images([home / 'images'], tmp_path / 'coded',
                           change_weights(home, tmp_path, key))
    assert len(report.failed) == 3
    assert all(words in outcome.error for outcome in report.failed)


def test_stream_of_another_image_size_is_refused(home, source, coded,
                                                 tmp_path):
    os.makedirs(tmp_path / 'p')
    write_image(tmp_path / 'p' / 'a.png', smooth_images(1, 40, 53)[0])
    outcome, = encode_images([tmp_path / 'p'], tmp_path / 'coded',
                             source).failed
    assert r'its size is (40, 52), and here it is (40, 53)' in outcome.error


@pytest.mark.parametrize('log_is_lost', [False, True])
def test_stream_of_another_image_is_refused(home, source, coded, tmp_path,
                                            log_is_lost):
    folder = tmp_path / 'coded'
    if log_is_lost:
        (folder / 'encode.jsonl').unlink()
    before = content_of(folder, '.hmc')
    for name in SIZES:
        path = tmp_path / 'p' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # Of the same size, under the same name.
        write_image(path, read_image(home / 'images' / name).flip(2))
    # One is the same, elsewhere.
    shutil.copy(home / 'images/b.png', tmp_path / 'p/b.png')
    report = encode_images([tmp_path / 'p'], folder, source, psnr=True)
    assert [o.error == '' for o in report.outcomes] == [False, True, False]
    said = 'is not what this codec makes' if log_is_lost else 'another image'
    assert all(said in outcome.error for outcome in report.failed)
    assert content_of(folder, '.hmc') == before
    report = encode_images([tmp_path / 'p'], folder, source, force=True)
    assert not report.failed
    after = content_of(folder, '.hmc')
    assert [after[k] == before[k] for k in before] == [False, True, False]


def test_stream_put_there_by_somebody_else_is_refused(home, source, coded,
                                                      tmp_path):
    write_image(tmp_path / 'a.png', smooth_images(1, 40, 52)[0])
    encode_images([tmp_path / 'a.png'], tmp_path / 'other', source)
    shutil.copy(tmp_path / 'other/a.png.hmc', tmp_path / 'coded')
    outcome, = encode_images([home / 'images'], tmp_path / 'coded',
                             source).failed
    assert 'a.png.hmc exists and is not what this codec' in outcome.error


@pytest.mark.parametrize('log_is_lost', [False, True])
def test_image_that_was_changed_is_refused(source, coded, tmp_path,
                                           log_is_lost):
    folder = tmp_path / 'd'
    decode_bitstreams([tmp_path / 'coded'], folder, source)
    if log_is_lost:
        (folder / 'decode.jsonl').unlink()
    path = folder / 'a.png'
    write_image(path, read_image(path).flip(2), note=read_note(path))
    report = decode_bitstreams([tmp_path / 'coded'], folder, source)
    outcome, = report.failed
    assert 'a.png exists and was changed' in outcome.error
    assert len(rows_of(folder, 'decode')) == 3 - log_is_lost


def test_image_of_other_weights_is_refused_and_replaced_by_force(
        home, source, coded, tmp_path):
    decode_bitstreams([tmp_path / 'coded'], tmp_path / 'd', source)
    before = content_of(tmp_path / 'd', '.png')
    other = change_weights(home, tmp_path, 'g_s.0.bias')
    report = decode_bitstreams([tmp_path / 'coded'], tmp_path / 'd', other)
    assert len(report.failed) == 3
    assert 'exists and is not the image of this' in report.failed[0].error
    assert content_of(tmp_path / 'd', '.png') == before
    report = decode_bitstreams([tmp_path / 'coded'],
                               tmp_path / 'd',
                               other,
                               force=True)
    after = content_of(tmp_path / 'd', '.png')
    assert not report.failed
    assert all(after[name] != before[name] for name in SIZES)


def test_foreign_image_is_not_overwritten_by_decoding(home, source, coded,
                                                      tmp_path):
    report = decode_bitstreams([tmp_path / 'coded'], home / 'images', source)
    assert len(report.failed) == 3


# Bad input.


def test_bad_image_does_not_stop_the_others(home, source, tmp_path):
    (tmp_path / 'bad.png').write_bytes(b'bad')
    report = encode_images(
        [tmp_path / 'bad.png', tmp_path / 'no.png', home / 'images'],
        tmp_path / 'c', source)
    assert [o.error == ''
            for o in report.outcomes] == [True, True, False, False, True]
    bad, no = report.failed
    assert 'bad.png is no image' in bad.error and '\n' not in bad.error
    assert 'No such file' in no.error and 'no.png' in no.error
    assert len(rows_of(tmp_path / 'c')) == 3


def test_bad_stream_does_not_stop_the_others(source, coded, tmp_path):
    path = tmp_path / 'coded' / 'a.png.hmc'
    path.write_bytes(path.read_bytes()[:-1])
    report = decode_bitstreams([tmp_path / 'coded'], tmp_path / 'd', source)
    outcome, = report.failed
    assert 'a.png.hmc: 6' in outcome.error and 'announced' in outcome.error
    assert set(content_of(tmp_path / 'd', '.png')) == {'b.png', 'sub/c.png'}


def test_stream_in_floating_point_of_another_device_is_refused(
        source, coded, tmp_path):
    path = tmp_path / 'coded' / 'a.png.hmc'
    codec = source.load()
    codec.portable = False
    stream, = codec.compress(torch.rand(1, 3, 40, 50))
    path.write_bytes(replace(stream, device=b'??').to_bytes())
    report = decode_bitstreams([tmp_path / 'coded'], tmp_path / 'd', source)
    first, *others = report.outcomes
    assert 'written on another device' in first.error
    assert not any(outcome.error for outcome in others)


def test_quality_that_the_codec_does_not_know_is_refused_at_once(
        home, source, tmp_path):
    with pytest.raises(ValueError, match='no run-time controls'):
        encode_images([home / 'images'], tmp_path, source, quality=2)
    assert not list(tmp_path.glob('*.hmc'))


def test_quality_reaches_the_codec_and_decides_what_is_done(
        home, source, tmp_path, monkeypatch):
    """A codec with run-time controls, in miniature."""
    from mmhmc.codecs import MeanScaleHyperprior
    codec, seen = MeanScaleHyperprior, []
    check, encode, read = (codec.check_images, codec.encode_latents,
                           codec.read_latents)
    monkeypatch.setattr(codec, 'check_images',
                        lambda self, x, condition: check(self, x, None))
    monkeypatch.setattr(
        codec, 'encode_latents', lambda self, x, condition, with_likelihoods:
        (seen.append(condition), encode(self, x, None, with_likelihoods))[1])
    monkeypatch.setattr(
        codec, 'read_latents',
        lambda self, decoders, size, condition: read(self, decoders, size))
    image = home / 'images' / 'a.png'
    for was_done in (False, True):
        report = encode_images([image], tmp_path, source, quality=1.501)
        assert states(report) == [('a.png.hmc', was_done, '')]
    assert seen == [CodingCondition(quality=1.5)]
    outcome, = encode_images([image], tmp_path, source, quality=2).failed
    assert 'its quality is 1.5, and here it is 2' in outcome.error


def test_file_of_other_settings_is_not_taken_for_done(home, tmp_path):
    sources = [
        CodecSource(dict(codec=dict(type='mmhmc.JPEG', quality=quality)))
        for quality in (20, 60)
    ]
    image = home / 'images' / 'a.png'
    for source, done in zip((sources[0], sources[0]), (False, True)):
        report = encode_images([image], tmp_path, source)
        assert states(report) == [('a.png.hmc', done, '')]
    outcome, = encode_images([image], tmp_path, sources[1]).failed
    assert 'exists' in outcome.error


def test_codec_that_writes_no_bits_is_refused(home, tmp_path):
    source = CodecSource(dict(codec=dict(type='mmhmc.IdentityCodec')))
    report = encode_images([home / 'images'], tmp_path, source)
    assert len(report.failed) == 3
    assert 'IdentityCodec writes no bits' in report.failed[0].error


def test_jobs_have_to_be_positive(home, source, tmp_path):
    with pytest.raises(ValueError, match='`jobs` must be 1 or more, got 0'):
        encode_images([home / 'images'], tmp_path, source, jobs=0)


# Several processes.


def test_two_jobs_make_the_same_files(home, source, coded, tmp_path):
    report = encode_images([home / 'images', tmp_path / 'no.png'],
                           tmp_path / 'two',
                           source,
                           jobs=2)
    assert len(report.failed) == 1
    assert content_of(tmp_path / 'two',
                      '.hmc') == content_of(tmp_path / 'coded', '.hmc')
    drop = dict(seconds=0)
    assert [{
        **row,
        **drop
    } for row in rows_of(tmp_path / 'two')] == [{
        **row,
        **drop
    } for row in rows_of(tmp_path / 'coded')]


def test_two_ranks_share_the_files_and_merge_the_results(
        home, coded, tmp_path):
    folder = tmp_path / 'ranks'
    command = [
        sys.executable, '-m', 'torch.distributed.run', '--nproc_per_node=2',
        '--standalone', '-m', 'mmhmc.cli', 'encode',
        str(home / 'images'),
        str(tmp_path / 'no.png'), '-o',
        str(folder), '--model',
        str(home / 'config.py'), '--checkpoint',
        str(home / 'weights.pth')
    ]
    result = subprocess.run(
        command,
        cwd=ROOT,
        env={
            **os.environ, 'OMP_NUM_THREADS': '1'
        },
        capture_output=True,
        text=True,
        timeout=120)
    assert result.returncode == 1
    # Said once, for both.
    assert result.stdout.count('files    4: 3 coded, 0 done before, 1') == 1
    assert result.stderr.count('mmhmc encode:') == 1
    assert content_of(folder, '.hmc') == content_of(tmp_path / 'coded', '.hmc')
    assert [row['output']
            for row in rows_of(folder)] == [f'{name}.hmc' for name in SIZES]
    assert not list(folder.glob('*.rank*'))


# What a stream says.


def test_description_has_all_that_the_file_says(source, coded, tmp_path):
    path = tmp_path / 'coded' / 'b.png.hmc'
    row = describe_bitstream(path)
    assert row['file'] == str(path)
    size = row['height'], row['width'], row['coded_height'], row['coded_width']
    assert size == (33, 65, 64, 128)
    assert row['weights'] == source.load().weights_hash().hex()
    assert row['portable'] is True and row['device'] is None
    assert row['header_bytes'] + sum(
        row['streams'].values()) == row['num_bytes'] == path.stat().st_size
    assert list(row['streams']) == ['z', 'y'] and row['cut'] == []
    assert row['bpp'] == 8 * row['num_bytes'] / (33 * 65)
    assert row['quality'] is None


def test_cut_layers_and_quality_are_described(tmp_path):
    stream = Bitstream('x', (4, 5), dict(a=b'1', b=b'23'), quality=1.5).keep(1)
    (tmp_path / 'a.hmc').write_bytes(stream.to_bytes())
    row = describe_bitstream(tmp_path / 'a.hmc')
    assert row['cut'] == ['b'] and row['streams'] == dict(a=1)
    assert row['quality'] == 1.5 and row['portable'] and row['device'] is None


# Refined files.

SEARCH = dict(steps=3, lmbda=0.01)


def test_refined_files_are_those_of_the_refinement(home, source, tmp_path):
    report = encode_images([home / 'images'],
                           tmp_path,
                           source,
                           refinement=SEARCH)
    codec = source.load()
    refinement = LatentRefinement(**SEARCH)
    for row in rows_of(tmp_path):
        x = read_image(row['file'])[None]
        found = refinement.refine(codec, x)
        stream = Bitstream.from_bytes((tmp_path / row['output']).read_bytes())
        assert stream == found.bitstream
        assert row['refined'] == pytest.approx(found.summary())
        assert row['refined']['after'] <= row['refined']['before']
    better = sum(row['refined']['is_refined'] for row in rows_of(tmp_path))
    assert f'refined  {better} of 3' in report.table()


def test_what_a_search_has_finished_is_kept(home, source, tmp_path):
    first = encode_images([home / 'images'],
                          tmp_path,
                          source,
                          refinement=SEARCH)
    again = encode_images([home / 'images'],
                          tmp_path,
                          source,
                          refinement=SEARCH)
    assert not any(o.was_done for o in first.outcomes)
    assert all(o.was_done for o in again.outcomes)
    other = encode_images([home / 'images'],
                          tmp_path,
                          source,
                          refinement=dict(SEARCH, steps=4))
    assert all('another refinement' in o.error for o in other.outcomes)
    without = encode_images([home / 'images'], tmp_path, source)
    assert all('another refinement' in o.error for o in without.outcomes)


def test_a_host_that_cannot_be_asked_is_refused_once(home, source, tmp_path):
    reader = dict(type='mmhmc.HostReader', config='machines')
    for change in (dict(checkpoint=str(tmp_path / 'nothing.pth')),
                   dict(cfg_options={'model.neck.out_channels': 7})):
        with pytest.raises((OSError, ValueError)):
            encode_images([home / 'images'],
                          tmp_path / 'out',
                          source,
                          refinement=dict(
                              SEARCH, readers=[dict(reader, **change)]))
        assert not (tmp_path / 'out').exists()


def test_where_all_fails_there_is_no_log(home, source, tmp_path):
    maps = tmp_path / 'maps'
    maps.mkdir()
    report = encode_images([home / 'images'],
                           tmp_path / 'out',
                           source,
                           refinement=SEARCH,
                           importance=maps)
    assert len(report.failed) == 3
    assert not [*(tmp_path / 'out').glob('*.jsonl')]


def test_a_map_is_followed_and_of_the_images_size(home, source, tmp_path):
    maps = tmp_path / 'maps'
    maps.mkdir()
    (maps / 'a.json').write_text('[[0, 0, 20, 20]]')
    np.save(maps / 'b.npy', np.ones((3, 3)))
    report = encode_images([home / 'images'],
                           tmp_path / 'out',
                           source,
                           refinement=SEARCH,
                           importance=maps)
    errors = {o.pair.output: o.error for o in report.outcomes}
    assert not errors['a.png.hmc']
    assert 'has the size (3, 3)' in errors['b.png.hmc']
    assert 'no map of' in errors['sub/c.png.hmc']
    assert not (tmp_path / 'out/b.png.hmc').exists()
    (maps / 'sub').mkdir()
    np.save(maps / 'sub/c.npy', np.ones((64, 64)))
    report = encode_images([home / 'images'],
                           tmp_path / 'out',
                           source,
                           refinement=SEARCH,
                           importance=maps)
    assert {o.pair.output for o in report.failed} == {'b.png.hmc'}
    with pytest.raises(ValueError, match='A map needs a refinement'):
        encode_images([home / 'images'], tmp_path, source, importance=maps)


def test_a_map_that_two_images_may_mean_writes_nothing(home, source, tmp_path):
    maps, images = tmp_path / 'maps', tmp_path / 'images'
    for folder in ('x', 'y'):
        (images / folder).mkdir(parents=True)
        shutil.copy(home / 'images/a.png', images / folder)
    maps.mkdir()
    (maps / 'a.json').write_text('[[0, 0, 20, 20]]')
    with pytest.raises(ValueError, match='is not clear'):
        encode_images([images],
                      tmp_path / 'out',
                      source,
                      refinement=SEARCH,
                      importance=maps)
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('refinement, message', [
    (0, '`steps` must be a positive integer'),
    (dict(steps=3, task_weight=0.5), '`task_weight` is the share'),
    (dict(steps=3, max_psnr_loss=-1.), '`max_psnr_loss` must be'),
])
def test_searches_that_make_no_sense_write_nothing(home, source, tmp_path,
                                                   refinement, message):
    with pytest.raises(ValueError, match=message):
        encode_images([home / 'images'],
                      tmp_path / 'out',
                      source,
                      refinement=refinement)
    assert not (tmp_path / 'out').exists()
