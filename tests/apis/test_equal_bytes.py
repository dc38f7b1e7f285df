"""Standard codecs at the size of another file."""
import pytest
from conftest import smooth_images

from mmhmc.apis.equal_bytes import _best, hevc_within, jpeg_within
from mmhmc.codecs import JPEG


def test_jpeg_is_the_best_that_is_not_larger():
    x = smooth_images(1, 40, 60)
    codec = JPEG(subsampling='4:2:0')
    sizes = [len(codec.encode_file(x, quality)) for quality in range(1, 96)]
    wanted = sizes[30]
    file = jpeg_within(x, wanted)
    assert file.num_bytes == max(size for size in sizes if size <= wanted)
    assert file.x_hat.shape == x.shape


def test_smallest_file_is_taken_where_none_is_small_enough():
    x = smooth_images(1, 40, 60)
    least = len(JPEG(subsampling='4:2:0').encode_file(x, 1))
    assert jpeg_within(x, 0).num_bytes == least


def test_search_follows_the_order_of_the_qualities():
    x = smooth_images(1, 40, 60)
    rising = _best(JPEG(), range(1, 96), x, 10**6)
    falling = _best(JPEG(), range(95, 0, -1), x, 0)
    assert rising.num_bytes == falling.num_bytes


def test_hevc_has_at_most_the_bytes():
    pytest.importorskip('imageio_ffmpeg')
    x = smooth_images(1, 40, 60)
    file = hevc_within(x, 300)
    assert file.num_bytes <= 300 and file.x_hat.shape == x.shape
