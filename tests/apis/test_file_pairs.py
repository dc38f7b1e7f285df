import pytest

from mmhmc.apis.file_pairs import FilePair, image_name, pair_files, stream_name


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def pairs(*inputs):
    return pair_files(inputs, ('.png', '.jpg'), stream_name)


def test_structure_of_a_folder_is_kept_and_sorted(tmp_path):
    touch(tmp_path, 'b.png', 'a/d.JPG', 'a/c.png', 'notes.txt')
    assert pairs(tmp_path) == [
        FilePair(str(tmp_path / name), f'{name}.hmc')
        for name in ('a/c.png', 'a/d.JPG', 'b.png')
    ]


def test_named_file_is_taken_whatever_its_ending_and_lies_at_the_top(tmp_path):
    touch(tmp_path, 'a/b/c.dat')
    path = tmp_path / 'a/b/c.dat'
    assert pairs(path) == [FilePair(str(path), 'c.dat.hmc')]


def test_linked_folders_are_followed(tmp_path):
    touch(tmp_path, 'real/a.png')
    (tmp_path / 'top').mkdir()
    (tmp_path / 'top/link').symlink_to(tmp_path / 'real')
    assert [p.output for p in pairs(tmp_path / 'top')] == ['link/a.png.hmc']


def test_missing_file_is_left_for_reading_to_refuse(tmp_path):
    assert pairs(tmp_path / 'no.png')[0].output == 'no.png.hmc'


def test_names_that_differ_in_their_ending_do_not_clash(tmp_path):
    touch(tmp_path, 'a.png', 'a.jpg')
    outputs = [pair.output for pair in pairs(tmp_path)]
    assert outputs == ['a.jpg.hmc', 'a.png.hmc']


def test_file_that_is_given_twice_is_taken_once(tmp_path):
    touch(tmp_path, 'a.png')
    path = tmp_path / 'a.png'
    assert len(pairs(path, tmp_path, tmp_path / 'x/../a.png')) == 1


def test_two_files_with_one_output_are_refused_by_name(tmp_path):
    touch(tmp_path, 'x/a.png', 'y/a.png')
    with pytest.raises(
            ValueError, match=r'x/a\.png and .*y/a\.png would .* a\.png\.hmc'):
        pairs(tmp_path / 'x', tmp_path / 'y')


def test_two_streams_of_one_image_are_refused(tmp_path):
    touch(tmp_path, 'a.hmc', 'a.png.hmc')
    with pytest.raises(ValueError, match=r'would both become a\.png'):
        pair_files([tmp_path], ('.hmc', ), image_name)


def test_folder_without_such_files_is_refused(tmp_path):
    touch(tmp_path, 'a.txt')
    with pytest.raises(ValueError, match=r'no file that .* \.png, \.jpg'):
        pairs(tmp_path)


@pytest.mark.parametrize('image, decoded', [('a.png', 'a.png'),
                                            ('a.PNG', 'a.PNG'),
                                            ('a.jpg', 'a.jpg.png'),
                                            ('a.b.webp', 'a.b.webp.png')])
def test_decoded_image_has_the_name_of_the_coded_one(image, decoded):
    assert image_name(stream_name(image)) == decoded
