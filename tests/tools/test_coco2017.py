"""tools/dataset_converters/coco2017.py against a server on this machine."""
import importlib.util
import io
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import pytest

TOOL = Path(__file__).parents[2] / 'tools/dataset_converters/coco2017.py'


@pytest.fixture(scope='module')
def coco2017():
    spec = importlib.util.spec_from_file_location('coco2017', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def zipped(*names):
    content = io.BytesIO()
    with ZipFile(content, 'w') as file:
        for name in names:
            file.writestr(name, name * 50)
    return content.getvalue()


class Handler(BaseHTTPRequestHandler):
    """Serves ``server.files``, and of each the first ``server.most`` bytes."""

    def do_HEAD(self):
        self.send_response(200)
        if self.server.tells_size:
            self.send_header('Content-Length', str(len(self.content())))
        self.end_headers()

    def do_GET(self):
        self.server.ranges.append(self.headers['Range'])
        content, start = self.content(), 0
        if self.server.resumes and self.headers['Range']:
            start = int(self.headers['Range'][len('bytes='):-1])
        self.send_response(206 if start else 200)
        self.send_header('Content-Length', str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start:self.server.most])

    def content(self):
        return self.server.files[self.path]

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    server.files = {
        '/annotations/annotations_trainval2017.zip':
        zipped('annotations/instances_train2017.json',
               'annotations/instances_val2017.json'),
        '/zips/train2017.zip':
        zipped('train2017/1.jpg', 'train2017/2.jpg'),
        '/zips/val2017.zip':
        zipped('val2017/3.jpg'),
    }
    server.url = f'http://127.0.0.1:{server.server_port}'
    server.most, server.resumes, server.tells_size = 10**6, True, True
    server.ranges = []
    thread = threading.Thread(target=server.serve_forever, args=(0.01, ))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_download_makes_the_data_set_complete(coco2017, server, tmp_path,
                                              capsys):
    out = tmp_path / 'coco'
    assert not coco2017.print_state(out)
    assert capsys.readouterr().out.count('missing') == 4
    coco2017.download_missing(out, server.url)
    assert coco2017.print_state(out)
    assert capsys.readouterr().out.count('there') == 4
    assert {p.name
            for p in out.iterdir()} == {'annotations', 'train2017', 'val2017'}
    assert (out / 'val2017/3.jpg').read_text() == 'val2017/3.jpg' * 50


def test_only_missing_archives_are_fetched(coco2017, server, tmp_path):
    for name in ('val2017/mine.jpg', 'annotations/mine.json',
                 'annotations/instances_val2017.json'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text('mine')
    coco2017.download_missing(tmp_path, server.url)
    assert len(server.ranges) == 2
    assert not (tmp_path / 'val2017/3.jpg').exists()
    # What was there beside the archive's files stays.
    assert (tmp_path / 'annotations/mine.json').read_text() == 'mine'
    text = (tmp_path / 'annotations/instances_val2017.json').read_text()
    assert text == 'mine'
    coco2017.download_missing(tmp_path, server.url)
    assert len(server.ranges) == 2


def test_truncated_download_is_refused_and_then_resumed(
        coco2017, server, tmp_path):
    url, path = f'{server.url}/zips/train2017.zip', tmp_path / 'a.zip'
    content = server.files['/zips/train2017.zip']
    server.most = 100
    with pytest.raises(ConnectionError, match=': 100 of .* bytes are here'):
        coco2017.fetch(url, path)
    assert not path.exists()
    server.most = 10**6
    coco2017.fetch(url, path)
    assert server.ranges == [None, 'bytes=100-', 'bytes=100-']
    assert path.read_bytes() == content
    assert not (tmp_path / 'a.zip.part').exists()


def test_complete_part_is_not_fetched_again(coco2017, server, tmp_path):
    content = server.files['/zips/val2017.zip']
    (tmp_path / 'a.zip.part').write_bytes(content)
    coco2017.fetch(f'{server.url}/zips/val2017.zip', tmp_path / 'a.zip')
    assert server.ranges == []
    assert (tmp_path / 'a.zip').read_bytes() == content


@pytest.mark.parametrize('resumes, part', [(False, b'x' * 100),
                                           (True, b'x' * 10**5)])
def test_download_starts_anew_where_it_cannot_be_resumed(
        coco2017, server, tmp_path, resumes, part):
    server.resumes = resumes
    (tmp_path / 'a.zip.part').write_bytes(part)
    coco2017.fetch(f'{server.url}/zips/val2017.zip', tmp_path / 'a.zip')
    assert (tmp_path /
            'a.zip').read_bytes() == server.files['/zips/val2017.zip']


def test_server_that_tells_no_size_is_refused(coco2017, server, tmp_path):
    server.tells_size = False
    with pytest.raises(ConnectionError, match='does not tell the size'):
        coco2017.fetch(f'{server.url}/zips/val2017.zip', tmp_path / 'a.zip')


@pytest.mark.parametrize('damage', [
    pytest.param(lambda z: z[:-30], id='truncated'),
    pytest.param(
        lambda z: z.replace(b'val2017/3.jpg' * 50, b'?' * 650),
        id='wrong checksum'),
])
def test_damaged_archive_is_deleted_and_leaves_nothing(coco2017, server,
                                                       tmp_path, damage):
    archive = tmp_path / 'val2017.zip'
    archive.write_bytes(damage(server.files['/zips/val2017.zip']))
    with pytest.raises(BadZipFile, match='is damaged .* was deleted'):
        coco2017.unpack(archive, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_exit_code_tells_whether_files_are_missing(coco2017, tmp_path,
                                                   monkeypatch, capsys):
    monkeypatch.setattr('sys.argv', ['coco2017.py', '--out', str(tmp_path)])
    assert coco2017.main() == 1
    assert '--download' in capsys.readouterr().out


def test_failed_download_is_reported_in_one_line(coco2017, server, tmp_path,
                                                 monkeypatch, capsys):
    server.most = 10
    monkeypatch.setattr(coco2017.download_missing, '__defaults__',
                        (server.url, ))
    monkeypatch.setattr('sys.argv',
                        ['coco2017.py', '--download', '--out',
                         str(tmp_path)])
    assert coco2017.main() == 1
    assert ': 10 of ' in capsys.readouterr().err
