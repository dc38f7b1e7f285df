"""Files by their names and by globs, whatever links to what."""
import pytest

from mmhmc.apis.inference_inputs import list_items


@pytest.fixture
def folder(tmp_path):
    for name in ('a.png', 'x/b.jpg', 'x/y/c.png', '.h/d.png', 'x/.e.png',
                 'n.txt', '._a.png'):
        path = tmp_path / 'in' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for link in ('one', 'x/two'):
        (tmp_path / 'in' / link).symlink_to(tmp_path / 'in')
    return tmp_path / 'in'


@pytest.mark.parametrize('pattern, expected', [
    ('**/*.png', ['a.png', 'x/y/c.png']),
    ('**', ['a.png', 'x/b.jpg', 'x/y/c.png']),
    ('**/y/*', ['x/y/c.png']),
    ('*/**/*.png', ['x/y/c.png']),
    ('x/**', ['b.jpg', 'two/a.png', 'y/c.png']),
    ('.h/**/*.png', ['d.png']),
    ('**/.*', ['x/.e.png']),
    ('*.png', ['a.png']),
    ('*/*.jpg', ['x/b.jpg']),
])
def test_globs_end_and_find_each_file_once(folder, pattern, expected):
    assert [item.name
            for item in list_items(str(folder / pattern))] == expected


def test_glob_without_files_is_refused(folder):
    for pattern in ('**/*.webp', 'nowhere/**/*.png', '*.webp'):
        with pytest.raises(ValueError, match='matches no file'):
            list_items(str(folder / pattern))
