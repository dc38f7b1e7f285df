"""Files appear whole or not at all, whoever else writes them."""
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mmhmc.whole_files import whole_file, write_whole

ROOT = Path(__file__).parents[1]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_interrupted_writing_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / 'a'
    write_whole(path, b'old')
    monkeypatch.setattr('os.fsync', lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_whole(path, b'new')
    assert path.read_bytes() == b'old'
    monkeypatch.undo()
    write_whole(str(path), b'newer')
    assert path.read_bytes() == b'newer'
    assert names(tmp_path) == ['a']


def test_many_may_write_one_file_at_once(tmp_path):
    path = tmp_path / 'a'
    contents = [bytes([i]) * 10_000 for i in range(60)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda content: write_whole(path, content), contents))
    assert path.read_bytes() in contents
    assert names(tmp_path) == ['a']


def test_nobody_sees_half_a_file(tmp_path):
    path = tmp_path / 'a'
    with whole_file(path) as part:
        part.write_bytes(b'half')
        assert not path.exists()
        with whole_file(path) as other:
            other.write_bytes(b'other')
        assert path.read_bytes() == b'other'
    assert path.read_bytes() == b'half'


def test_link_stays_a_link(tmp_path):
    (tmp_path / 'far').mkdir()
    (tmp_path / 'a').symlink_to(tmp_path / 'far/b')
    for content in (b'one', b'two'):
        write_whole(tmp_path / 'a', content)
        assert (tmp_path / 'a').is_symlink()
        assert (tmp_path / 'far/b').read_bytes() == content
    assert names(tmp_path / 'far') == ['b']


def test_longest_name_can_be_written(tmp_path):
    write_whole(tmp_path / ('n' * 255), b'')
    assert names(tmp_path) == ['n' * 255]


def test_others_may_read_what_the_umask_lets_them(tmp_path):
    write_whole(tmp_path / 'a', b'')
    (tmp_path / 'b').touch()
    assert stat.S_IMODE((tmp_path / 'a').stat().st_mode) == stat.S_IMODE(
        (tmp_path / 'b').stat().st_mode)


def test_folder_is_not_written(tmp_path):
    with pytest.raises(IsADirectoryError, match=re.escape(str(tmp_path))):
        write_whole(tmp_path, b'')
    assert names(tmp_path) == []


def test_nobody_makes_temporary_names_of_their_own():
    # A download that goes on where it ended needs a name that stays, and
    # keeps others away by a lock.
    ours = {'mmhmc/whole_files.py', 'mmhmc/zoo/downloading.py'}
    for folder in ('mmhmc', 'tools', 'projects'):
        for path in (ROOT / folder).rglob('*.py'):
            name, text = path.relative_to(ROOT).as_posix(), path.read_text()
            found = re.search(r"\.part['\"{]|part-\{", text)
            assert found is None or name in ours, name
            assert 'part_of(' not in text or 'FileLock' in text or \
                name in ours or 'def _part_of' in text, name
