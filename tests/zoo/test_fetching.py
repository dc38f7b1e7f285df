"""Weights arrive whole and right, or not at all."""
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from mmhmc.zoo import fetch_weights, fetching


class Handler(BaseHTTPRequestHandler):
    """Serves one file as its server's ``plan`` says."""

    protocol_version = 'HTTP/1.1'

    def do_GET(self):
        plan = self.server.plan
        plan.asked.append((self.path, self.headers['Range']))
        plan.started.wait()
        if plan.status != 200:
            self.send_error(plan.status)
            return
        content, begin = plan.content, 0
        if plan.has_ranges and self.headers['Range']:
            begin = int(
                re.fullmatch(r'bytes=(\d+)-', self.headers['Range'])[1])
        self.send_response(206 if begin else 200)
        self.send_header('Content-Length', str(len(content) - begin))
        self.send_header('Connection', 'close')
        self.end_headers()
        self.wfile.write(content[begin:][:plan.cut_after])
        self.close_connection = True

    def log_message(self, *args):
        """Keep quiet."""


@pytest.fixture
def server(zoo, monkeypatch):
    """Serves the weights; ``plan`` says how, ``asked`` what it was asked."""
    started = threading.Event()
    started.set()
    plan = SimpleNamespace(
        content=(zoo.served / 'tiny.safetensors').read_bytes(),
        status=200,
        has_ranges=True,
        cut_after=None,
        asked=[],
        started=started)
    with ThreadingHTTPServer(('127.0.0.1', 0), Handler) as running:
        running.plan = plan
        thread = threading.Thread(target=running.serve_forever, args=(0.01, ))
        thread.start()
        plan.url = f'http://127.0.0.1:{running.server_port}/zoo'
        monkeypatch.setenv('MMHMC_ZOO_URL', plan.url)
        yield plan
        started.set()
        running.shutdown()
        thread.join()


def files_of(zoo):
    return sorted(
        file.suffix for file in zoo.cache.glob('tiny-*')
        if file.suffix != '.lock')


def test_download_is_kept_under_its_name_and_hash(server, zoo):
    file = fetch_weights('tiny')
    assert file.parent == zoo.cache
    assert re.fullmatch('tiny-[0-9a-f]{8}.safetensors', file.name)
    assert file.read_bytes() == server.content
    assert server.asked == [('/zoo/tiny.safetensors', None)]
    assert fetch_weights('tiny') == file
    assert len(server.asked) == 1
    assert files_of(zoo) == ['.safetensors']


def test_argument_comes_before_the_environment(server, zoo):
    fetch_weights('tiny', server.url + '/other/')
    assert server.asked[0][0] == '/zoo/other/tiny.safetensors'


def test_cut_off_download_goes_on_while_something_arrives(server):
    server.cut_after = len(server.content) // 3
    assert fetch_weights('tiny').read_bytes() == server.content
    begins = [asked[1] for asked in server.asked]
    assert begins[:2] == [None, f'bytes={server.cut_after}-']


def test_what_has_arrived_is_kept_for_the_next_attempt(server, zoo):
    server.cut_after = 1000
    # The first connection brings a beginning, the second nothing more.
    server.has_ranges = False
    with pytest.raises(
            ConnectionError,
            match='1000 of .* bytes are here .*'
            'goes on from there'):
        fetch_weights('tiny')
    assert files_of(zoo) == ['.part']
    server.cut_after, server.has_ranges = None, True
    server.asked.clear()
    assert fetch_weights('tiny').read_bytes() == server.content
    assert server.asked == [('/zoo/tiny.safetensors', 'bytes=1000-')]
    assert files_of(zoo) == ['.safetensors']


def test_server_without_ranges_sends_all_again(server, zoo):
    part = fetching._cached(fetching.find_model('tiny'))
    part.parent.mkdir()
    part.with_name(part.name + '.part').write_bytes(server.content[:1000])
    server.has_ranges = False
    assert fetch_weights('tiny').read_bytes() == server.content


@pytest.mark.parametrize('length', [1000, None, 10**7])
def test_wrong_beginning_is_dropped(server, zoo, length):
    part = fetching._cached(fetching.find_model('tiny'))
    part.parent.mkdir()
    part.with_name(part.name + '.part').write_bytes(
        b'?' * (length or len(server.content)))
    assert fetch_weights('tiny').read_bytes() == server.content
    assert files_of(zoo) == ['.safetensors']


def swapped(content):
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize('spoil, message', [
    (swapped, 'has SHA-256'),
    (lambda content: content + b'more', 'bytes, expected'),
])
def test_wrong_bytes_are_refused_and_removed(server, zoo, spoil, message):
    server.content = spoil(server.content)
    with pytest.raises(ValueError, match=f'serves is refused: .*{message}'):
        fetch_weights('tiny')
    assert files_of(zoo) == []


def test_short_file_is_refused(server, zoo):
    server.content = server.content[:-10]
    with pytest.raises(OSError, match='bytes are here|cannot be had'):
        fetch_weights('tiny')
    assert not list(zoo.cache.glob('*.safetensors'))


@pytest.mark.parametrize(
    'spoil', [swapped, lambda content: content[:-10], lambda content: b''])
def test_file_of_the_cache_that_has_changed_is_fetched_anew(server, spoil):
    file = fetch_weights('tiny')
    file.write_bytes(spoil(server.content))
    assert fetch_weights('tiny').read_bytes() == server.content
    assert len(server.asked) == 2


def test_file_of_the_cache_that_has_changed_is_removed_without_a_network(
        server, zoo):
    file = fetch_weights('tiny')
    file.write_bytes(swapped(server.content))
    server.status = 404
    with pytest.raises(FileNotFoundError, match='404'):
        fetch_weights('tiny')
    assert not file.exists()


def test_file_that_is_not_served_is_told_with_the_remedy(server, zoo):
    server.status = 404
    with pytest.raises(
            FileNotFoundError,
            match='zoo/tiny.safetensors cannot be had: 404 .* Let '
            'MMHMC_ZOO_URL say where'):
        fetch_weights('tiny')
    assert files_of(zoo) == []


def test_server_in_trouble_loses_nothing(server, zoo):
    server.status = 503
    with pytest.raises(ConnectionError, match='0 of .* 503'):
        fetch_weights('tiny')


def test_no_network_is_told_with_the_remedy(zoo):
    # Nothing listens on port 9 of this machine.
    with pytest.raises(
            ConnectionError,
            match='(?s)127.0.0.1:9.*when there is a network. Let MMHMC_ZOO'):
        fetch_weights('tiny', 'http://127.0.0.1:9')


def test_processes_that_want_one_file_download_it_once(server):
    server.started.clear()
    with ThreadPoolExecutor(3) as pool:
        futures = [pool.submit(fetch_weights, 'tiny') for _ in range(3)]
        server.started.set()
        files = {future.result() for future in futures}
    assert len(files) == 1 and len(server.asked) == 1
    assert files.pop().read_bytes() == server.content


def test_folder_is_used_as_it_is(zoo):
    file = zoo.served / 'tiny.safetensors'
    assert fetch_weights('tiny') == file
    assert not zoo.cache.exists()
    file.write_bytes(swapped(file.read_bytes()))
    with pytest.raises(ValueError, match='are not the weights of tiny'):
        fetch_weights('tiny')
    # Somebody's folder is not ours to clear.
    assert file.exists()
    file.unlink()
    with pytest.raises(FileNotFoundError, match='tiny.safetensors does not'):
        fetch_weights('tiny')


def test_checkout_serves_its_own_folder(zoo, monkeypatch):
    monkeypatch.delenv('MMHMC_ZOO_URL')
    with pytest.raises(FileNotFoundError, match='nothing says where'):
        fetch_weights('tiny')
    monkeypatch.setattr(fetching, '_CHECKOUT', zoo.served)
    assert fetch_weights('tiny') == zoo.served / 'tiny.safetensors'


def test_wheel_serves_what_it_carries(zoo, monkeypatch):
    monkeypatch.delenv('MMHMC_ZOO_URL')
    monkeypatch.setattr(fetching, '_PACKAGED', zoo.served)
    assert fetch_weights('tiny') == zoo.served / 'tiny.safetensors'
    assert not zoo.cache.exists()


def test_address_in_the_metafile_serves_where_nothing_else_does(
        server, zoo, monkeypatch):
    monkeypatch.delenv('MMHMC_ZOO_URL')
    metafile = zoo.root / 'configs/tiny/metafile.yml'
    metafile.write_text(metafile.read_text().replace('model_zoo', server.url))
    assert fetch_weights('tiny').parent == zoo.cache


@pytest.mark.parametrize('base', ['ftp://host/zoo', 'file:///zoo'])
def test_other_kinds_of_addresses_are_refused(zoo, base):
    with pytest.raises(ValueError, match='is no place for weights'):
        fetch_weights('tiny', base)


def test_progress_is_one_line_where_there_is_no_terminal(server, capsys):
    fetch_weights('tiny')
    assert re.fullmatch(r'Getting http\S+tiny.safetensors \(\d.\d MB\)\n',
                        capsys.readouterr().err)


def test_progress_is_a_bar_on_a_terminal(server, monkeypatch, capsys):
    monkeypatch.setattr('sys.stderr.isatty', lambda: True)
    fetch_weights('tiny')
    shown = capsys.readouterr().err
    assert 'tiny.safetensors' in shown and '━━' in shown and 'MB/s' in shown


def test_nothing_is_shown_where_it_is_not_wanted(server, capsys):
    fetch_weights('tiny', progress=False)
    assert capsys.readouterr().err == ''
