"""A host's pipeline reads what was decoded."""
import pytest

from mmhmc.datasets import UseDecodedImage


def test_path_becomes_that_of_the_decoded_image(tmp_path):
    decoded = tmp_path / 'decoded/sub/a.jpg.png'
    decoded.parent.mkdir(parents=True)
    decoded.touch()
    step = UseDecodedImage(str(tmp_path / 'in'), str(tmp_path / 'decoded'))
    given = dict(img_path=str(tmp_path / 'in/sub/../sub/a.jpg'), img_id=3)
    assert step(given) == dict(img_path=str(decoded), img_id=3)
    assert given['img_path'].endswith('.jpg')


def test_image_that_was_not_coded_is_said(tmp_path):
    step = UseDecodedImage(str(tmp_path), str(tmp_path / 'decoded'))
    with pytest.raises(FileNotFoundError, match='was not coded'):
        step(dict(img_path=str(tmp_path / 'a.png')))


def test_image_from_elsewhere_is_refused(tmp_path):
    step = UseDecodedImage(str(tmp_path / 'in'), str(tmp_path / 'decoded'))
    with pytest.raises(ValueError, match='is not in'):
        step(dict(img_path=str(tmp_path / 'other/a.png')))
