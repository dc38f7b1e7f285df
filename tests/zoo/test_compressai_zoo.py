"""Weights that CompressAI publishes, by name."""
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
import torch
from compressai.zoo import image, image_vbr
from conftest import smooth_images

from mmhmc.apis import load_codec
from mmhmc.checkpoints import read_checkpoint
from mmhmc.structures import CodingCondition
from mmhmc.zoo import (fetch_compressai, find_compressai, is_compressai,
                       list_compressai)
from mmhmc.zoo.compressai_zoo import CODECS

MEAN_SCALE = 'compressai://mbt2018-mean/mse/1'


def test_every_address_of_compressai_has_a_name():
    urls = {
        url
        for metrics in (image.model_urls, image_vbr.model_urls)
        for found in metrics.values()
        for rates in found.values()
        for url in ([rates] if isinstance(rates, str) else rates.values())
    }
    found = [find_compressai(name) for name in list_compressai()]
    assert {weights.url for weights in found} == urls
    assert all(
        re.fullmatch('[0-9a-f]{8}', weights.sha256) for weights in found)
    assert {weights.architecture for weights in found} == set(CODECS)


def test_codec_has_the_widths_that_compressai_says():
    weights = find_compressai('compressai://mbt2018-mean/ms-ssim/8')
    assert weights.codec == dict(
        type='mmhmc.MeanScaleHyperprior',
        hidden_channels=192,
        latent_channels=320,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='compressai://mbt2018-mean/ms-ssim/8'))
    codec = find_compressai('compressai://cheng2020-attn/mse/3').codec
    assert codec['hidden_channels'] == 128
    assert 'latent_channels' not in codec


@pytest.mark.parametrize('name, near', [
    ('mbt2018-mean/mse/9', 'mbt2018-mean/mse/8'),
    ('cheng2020_attn/mse/4', 'cheng2020-attn/mse/4'),
    ('mbt2018-vbr/mse/1', 'mbt2018-vbr/mse'),
])
def test_unknown_name_is_answered_by_the_nearest(name, near):
    with pytest.raises(ValueError, match=f'no {name!r}; near it are .*{near}'):
        read_checkpoint(f'compressai://{name}')


def test_name_without_codec_says_which_there_are(monkeypatch):
    monkeypatch.delitem(CODECS, 'mbt2018-vbr')
    with pytest.raises(
            ValueError,
            match='no codec for .* mbt2018-vbr yet; .*'
            'cheng2020-attn'):
        load_codec('compressai://mbt2018-vbr/mse')


@pytest.mark.parametrize('tables', [True, False])
@pytest.mark.parametrize('architecture', image_vbr.model_urls)
def test_weights_with_all_rates_code_as_those_of_the_network(
        compressai_zoo, architecture, tables):
    network = compressai_zoo.publish(
        architecture, 'mse', None, tables=tables).eval()
    codec = load_codec(f'compressai://{architecture}/mse')
    for key, value in network.state_dict().items():
        if 'bottleneck._' not in key and 'conditional' not in key:
            assert torch.equal(codec.state_dict()[key], value), key
    codec.portable, x = False, smooth_images(1, 64, 64)
    for quality in (1, 4, 8):
        condition = CodingCondition(quality=quality)
        with torch.no_grad():
            found = codec(x, condition)
            expected = network(x, s=quality - 1)
        torch.testing.assert_close(found.x_hat, expected['x_hat'])
        stream, = codec.compress(x, condition)
        assert torch.equal(codec.read(stream), found.y_hat)
    before = codec.entropy_tables()['z']
    codec.update_entropy_tables(update_quantiles=False)
    assert torch.equal(before.cdf, codec.entropy_tables()['z'].cdf)


@pytest.mark.parametrize('architecture', image.model_urls)
def test_weights_code_as_those_of_the_network(compressai_zoo, architecture):
    widths = (8, 8)[:len(image.cfgs[architecture][1])]
    network = compressai_zoo.publish(architecture, 'mse', 1, widths)
    codec = load_codec(f'compressai://{architecture}/mse/1')
    for key, value in network.state_dict().items():
        if 'entropy_bottleneck._' not in key:
            assert torch.equal(codec.state_dict()[key], value), key
    x = smooth_images(1, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(codec.g_a(x), network.g_a(x))
    stream, = codec.compress(x)
    assert codec.decompress([stream]).shape == x.shape


def test_names_of_former_releases_load(compressai_zoo, monkeypatch):
    network = compressai_zoo.publish('cheng2020-anchor', 'mse', 1, (8, ))
    file, = compressai_zoo.folder.iterdir()
    former = {
        f'module.{key}'.replace('.skip.', '.downsample.'): value
        for key, value in torch.load(file).items()
    }
    assert any('.downsample.' in key for key in former)
    weights = find_compressai('compressai://cheng2020-anchor/mse/1')
    state = weights.complete(former)
    assert state.keys() == network.state_dict().keys()


@pytest.mark.parametrize('has_tables', [False, True])
def test_tables_are_kept_or_made_anew_with_the_medians(compressai_zoo,
                                                       has_tables):
    network = compressai_zoo.publish(
        'mbt2018-mean', 'mse', 1, tables=has_tables)
    medians = network.entropy_bottleneck.quantiles
    kept = load_codec(MEAN_SCALE)
    new = load_codec(f'{MEAN_SCALE}/new-tables')
    for codec in (kept, new):
        assert torch.equal(codec.entropy_bottleneck.quantiles, medians)
    made = load_codec(MEAN_SCALE)
    made.update_entropy_tables(update_quantiles=False)
    expected = network if has_tables else made
    for codec, other in ((kept, expected), (new, made)):
        for name in ('entropy_bottleneck', 'gaussian_conditional'):
            assert torch.equal(
                codec.get_submodule(name)._quantized_cdf,
                other.get_submodule(name)._quantized_cdf)
    assert len(new.gaussian_conditional.scale_table) == 256
    assert len(
        kept.gaussian_conditional.scale_table) == (64 if has_tables else 256)
    # What a run does before it tests changes none of it.
    kept.refresh_entropy_tables()
    assert torch.equal(kept.entropy_bottleneck.quantiles, medians)


def test_weights_are_downloaded_once(compressai_zoo):
    compressai_zoo.publish('mbt2018-mean', 'mse', 1)
    file = fetch_compressai(MEAN_SCALE)
    assert file.parent == compressai_zoo.cache
    served, = compressai_zoo.folder.iterdir()
    assert (file.name, file.read_bytes()) == (served.name, served.read_bytes())
    assert fetch_compressai(MEAN_SCALE) == file
    assert [command for command, _ in compressai_zoo.asked] == ['HEAD', 'GET']


def test_other_file_is_refused_and_removed(compressai_zoo):
    compressai_zoo.publish('mbt2018-mean', 'mse', 1)
    served, = compressai_zoo.folder.iterdir()
    content = served.read_bytes()
    served.write_bytes(content[:-1] + b'?')
    with pytest.raises(
            ValueError,
            match='is refused: .* has SHA-256 .*, '
            r'expected [0-9a-f]{8}\.\.\.: these are not'):
        read_checkpoint(MEAN_SCALE)
    left = [f for f in compressai_zoo.cache.iterdir() if f.suffix != '.lock']
    assert not left
    served.write_bytes(content)
    file = fetch_compressai(MEAN_SCALE)
    file.write_bytes(b'changed since')
    assert fetch_compressai(MEAN_SCALE).read_bytes() == content


def test_missing_file_is_an_os_error(compressai_zoo):
    compressai_zoo.publish('mbt2018-mean', 'mse', 1)
    served, = compressai_zoo.folder.iterdir()
    served.unlink()
    with pytest.raises(FileNotFoundError, match='cannot be had: 404'):
        fetch_compressai(MEAN_SCALE)


def test_without_network_one_line_says_what_to_do(compressai_zoo, monkeypatch):
    url = 'http://127.0.0.1:9/mbt2018-mean-1-0123abcd.pth.tar'
    monkeypatch.setitem(image.model_urls['mbt2018-mean']['mse'], 1, url)
    with pytest.raises(ConnectionError) as caught:
        fetch_compressai(MEAN_SCALE)
    text = str(caught.value)
    assert text.startswith(f'{url} cannot be reached (') and '\n' not in text
    assert f'put mbt2018-mean-1-0123abcd.pth.tar into {compressai_zoo.cache}' \
        in text


def test_name_without_hash_is_not_trusted(monkeypatch):
    url = 'https://example.com/mbt2018-mean-1.pth.tar'
    monkeypatch.setitem(image.model_urls['mbt2018-mean']['mse'], 1, url)
    with pytest.raises(ValueError, match='has no hash, so that the file'):
        find_compressai(MEAN_SCALE)


class Breaking(BaseHTTPRequestHandler):
    """Breaks off its first answer, and goes on where it is asked to."""

    def do_HEAD(self):
        self._head(200, len(self.server.content))

    def do_GET(self):
        content, begun = self.server.content, self.headers['Range']
        self.server.asked.append(begun)
        begin = int(begun[len('bytes='):-1]) if begun else 0
        self._head(206 if begun else 200, len(content) - begin)
        self.wfile.write(content[begin:] if begun else content[:1000])

    def _head(self, status, length):
        self.send_response(status)
        self.send_header('Content-Length', str(length))
        self.end_headers()

    def log_message(self, *args):
        """Keep quiet."""


def test_broken_download_goes_on_where_it_ended(compressai_zoo, monkeypatch):
    compressai_zoo.publish('mbt2018-mean', 'mse', 1)
    served, = compressai_zoo.folder.iterdir()
    with ThreadingHTTPServer(('127.0.0.1', 0), Breaking) as server:
        server.content, server.asked = served.read_bytes(), []
        thread = Thread(target=server.serve_forever, args=(0.01, ))
        thread.start()
        url = f'http://127.0.0.1:{server.server_port}/{served.name}'
        monkeypatch.setitem(image.model_urls['mbt2018-mean']['mse'], 1, url)
        try:
            file = fetch_compressai(MEAN_SCALE)
        finally:
            server.shutdown()
            thread.join()
    assert file.read_bytes() == server.content
    assert server.asked == [None, 'bytes=1000-']


def test_code_in_a_file_never_runs(compressai_zoo, monkeypatch, tmp_path):
    """Even in one whose hash is right."""
    import hashlib

    class Payload:

        def __reduce__(self):
            return (tmp_path / 'ran').touch, ()

    file = tmp_path / 'bad.pth.tar'
    torch.save(dict(a=Payload()), file)
    content = file.read_bytes()
    name = f'bad-{hashlib.sha256(content).hexdigest()[:8]}.pth.tar'
    compressai_zoo.publish('mbt2018-mean', 'mse', 1)
    served, = compressai_zoo.folder.iterdir()
    old = image.model_urls['mbt2018-mean']['mse'][1]
    (compressai_zoo.folder / name).write_bytes(content)
    monkeypatch.setitem(image.model_urls['mbt2018-mean']['mse'], 1,
                        old.replace(served.name, name))
    with pytest.raises(ValueError, match='is not read: it asks for'):
        read_checkpoint(MEAN_SCALE)
    assert not (tmp_path / 'ran').exists()


def test_other_width_says_which(compressai_zoo):
    compressai_zoo.publish('mbt2018-mean', 'mse', 1, (8, 16))
    config = dict(
        codec=dict(
            type='mmhmc.MeanScaleHyperprior',
            hidden_channels=8,
            latent_channels=8))
    with pytest.raises(
            ValueError,
            match='size mismatch for .* CompressAI has them for '
            'mbt2018-mean, hidden_channels=8, latent_channels=16'):
        load_codec(config, MEAN_SCALE)
    image.cfgs['mbt2018-mean'][1] = (8, 8)
    with pytest.raises(
            ValueError,
            match='does not hold the weights of '
            r'mbt2018-mean of width \(8, 8\): size mismatch'):
        read_checkpoint(f'{MEAN_SCALE}/new-tables')


def test_weights_of_all_rates_do_not_fit_a_codec_of_one(compressai_zoo):
    compressai_zoo.publish('mbt2018-mean-vbr', 'mse', None)
    config = dict(
        codec=dict(
            type='mmhmc.MeanScaleHyperprior',
            hidden_channels=8,
            latent_channels=8))
    with pytest.raises(
            ValueError,
            match='with several rates, .*VBR.* CompressAI has them for '
            'mbt2018-mean-vbr, hidden_channels=8'):
        load_codec(config, 'compressai://mbt2018-mean-vbr/mse')


def test_only_addresses_are_addresses(tmp_path):
    assert is_compressai(MEAN_SCALE)
    assert not is_compressai(tmp_path) and not is_compressai('mbt2018-mean')
