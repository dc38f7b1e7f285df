"""Links of every sort: nothing is listed for ever, nothing is lost."""
import os

import pytest

from mmhmc.datasets import list_files, path_below


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names(folder, *args):
    return [
        path.relative_to(folder).as_posix()
        for path in list_files(folder, *args)
    ]


def test_files_are_sorted_and_have_one_of_the_endings(tmp_path):
    touch(tmp_path, 'b.png', 'a/d.PNG', 'a/c.jpg', 'e')
    assert names(tmp_path, ('.png', )) == ['a/d.PNG', 'b.png']
    assert names(tmp_path) == ['a/c.jpg', 'a/d.PNG', 'b.png', 'e']
    assert list_files(str(tmp_path)) == list_files(tmp_path)


def test_folders_that_link_to_themselves_are_listed_once(tmp_path):
    touch(tmp_path, 'a.png', 'sub/b.png')
    for link in ('one', 'two', 'sub/up', 'sub/self'):
        target = tmp_path / 'sub' if link == 'sub/self' else tmp_path
        (tmp_path / link).symlink_to(target)
    assert names(tmp_path) == ['a.png', 'sub/b.png']
    # The same by another name of the folder.
    link = tmp_path.parent / f'{tmp_path.name}-link'
    link.symlink_to(tmp_path)
    assert names(link) == ['a.png', 'sub/b.png']


def test_folders_that_link_to_each_other_end(tmp_path):
    touch(tmp_path, 'a/x.png', 'b/y.png')
    (tmp_path / 'a/b').symlink_to(tmp_path / 'b')
    (tmp_path / 'b/a').symlink_to(tmp_path / 'a')
    assert names(tmp_path / 'a') == ['b/y.png', 'x.png']
    assert names(tmp_path) == ['a/b/y.png', 'a/x.png', 'b/a/x.png', 'b/y.png']


def test_folder_with_two_names_is_listed_under_both(tmp_path):
    touch(tmp_path, 'real/a.png')
    for link in ('one', 'two'):
        (tmp_path / 'top' / link).parent.mkdir(exist_ok=True)
        (tmp_path / 'top' / link).symlink_to(tmp_path / 'real')
    assert names(tmp_path / 'top') == ['one/a.png', 'two/a.png']


def test_links_to_files_and_to_nothing(tmp_path):
    touch(tmp_path, 'elsewhere/a.png')
    folder = tmp_path / 'folder'
    folder.mkdir()
    (folder / 'file.png').symlink_to(tmp_path / 'elsewhere/a.png')
    # Whoever reads these says what is wrong.
    (folder / 'broken.png').symlink_to(tmp_path / 'nowhere')
    (folder / 'self.png').symlink_to(folder / 'self.png')
    # A folder, whatever its name says.
    (folder / 'album.png').symlink_to(tmp_path / 'elsewhere')
    assert names(folder) == [
        'album.png/a.png', 'broken.png', 'file.png', 'self.png'
    ]


def test_pipes_and_companions_are_not_listed(tmp_path):
    touch(tmp_path, '._a.png', 'a.png', '.hidden.png')
    os.mkfifo(tmp_path / 'pipe.png')
    (tmp_path / 'link.png').symlink_to(tmp_path / 'pipe.png')
    assert names(tmp_path, ('.png', )) == ['.hidden.png', 'a.png']


def test_folder_that_cannot_be_read_is_said(tmp_path, monkeypatch):
    touch(tmp_path, 'a/x.png')
    scan = os.scandir

    def refuse(path):
        if str(path).endswith('a'):
            raise PermissionError(13, 'Permission denied', path)
        return scan(path)

    monkeypatch.setattr(os, 'scandir', refuse)
    with pytest.raises(PermissionError, match='/a'):
        list_files(tmp_path)


def test_place_below_a_folder_is_found_by_either_name(tmp_path):
    touch(tmp_path, 'elsewhere/a.png', 'root/sub/b.png')
    root = tmp_path / 'root'
    (root / 'a.png').symlink_to(tmp_path / 'elsewhere/a.png')
    (tmp_path / 'other').symlink_to(root)
    for one in (root, tmp_path / 'other', root / 'sub/..'):
        for other in (root, tmp_path / 'other'):
            assert path_below(one / 'a.png', other) == 'a.png'
            assert path_below(one / 'sub/b.png', other) == 'sub/b.png'
    assert path_below(tmp_path / 'elsewhere/a.png', root) is None
    (root / 'loop').symlink_to(root / 'loop')
    assert path_below(root / 'loop', root) == 'loop'
